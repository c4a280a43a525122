"""Damage of stored versions, found before one of them is needed.

    at the start, and every EVERY seconds --> versions whose files changed --> Store.open --> damage

A version is verified again if a file of it was added, removed, replaced or written to, or if it was
damaged: the file server may have failed. A pause follows each verification, so that large models
take at most a tenth of a core.
Versions in a bucket are not verified: each would have to be downloaded.
"""

import asyncio
import logging
import os
import time
from contextlib import suppress

from contract.errors import NoVersion, StoreError
from contract.mirror import MirroredStore
from contract.store import Stamp, Store
from service.lifecycle import DaemonExecutor
from service.models.store_reads import without_paths

EVERY = 60.0  # seconds between two looks at the files
PAUSE = 9.0  # times as long as the verification before it

Stamps = frozenset[tuple[str, Stamp]]

log = logging.getLogger("service")


class IntegrityCheck:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread = DaemonExecutor("integrity")
        self._verified: dict[int, Stamps] = {}
        self._damage: dict[int, str] = {}

    def damage(self, number: int) -> str | None:
        """Why a version cannot be served; None if it can, or has not been verified yet."""
        return self._damage.get(number)

    async def follow(self) -> None:
        """Verify new and changed versions until cancelled."""
        if isinstance(self._store, MirroredStore):
            return
        while True:
            with suppress(StoreError, OSError):  # requests that read the store report it
                await self.run()
            await asyncio.sleep(EVERY)

    async def run(self) -> None:
        """Verify the versions whose files have changed, the newest first."""
        loop = asyncio.get_running_loop()
        changed = await loop.run_in_executor(self._thread, self._changed)
        for number, stamps in changed:
            began = time.perf_counter()
            await loop.run_in_executor(self._thread, self._verify, number, stamps)
            await asyncio.sleep(PAUSE * (time.perf_counter() - began))

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _changed(self) -> list[tuple[int, Stamps]]:
        found: dict[int, Stamps] = {}
        for number in reversed(self._store.versions()):
            with suppress(FileNotFoundError):  # pruned meanwhile
                found[number] = _stamps(self._store, number)
        for number in (self._verified.keys() | self._damage.keys()) - found.keys():
            self._verified.pop(number, None)
            self._damage.pop(number, None)
        return [each for each in found.items() if self._verified.get(each[0]) != each[1]]

    def _verify(self, number: int, stamps: Stamps) -> None:
        try:
            self._store.open(number)
        except NoVersion:  # pruned meanwhile
            return
        except StoreError as error:
            damage = without_paths(error, self._store)
            if damage != self._damage.get(number):
                log.warning("version %d cannot be served: %s", number, error)
            self._damage[number] = damage
            self._verified.pop(number, None)
        else:
            if self._damage.pop(number, None) is not None:
                log.info("version %d can be served again", number)
            self._verified[number] = stamps


def _stamps(store: Store, number: int) -> Stamps:
    """Another set if a file was added, removed, replaced or written to."""
    stamps = set()
    with os.scandir(store.folder / str(number)) as files:
        for file in files:
            found = file.stat(follow_symlinks=False)
            stamps.add((file.name, (found.st_mtime_ns, found.st_size, found.st_ino)))
    return frozenset(stamps)
