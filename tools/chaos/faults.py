"""Cause the planned faults, and record when they happened."""

import asyncio
import json
import os
import shutil
import signal
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

from contract.card import ONNX
from contract.errors import StoreError
from contract.version import CARD
from tests.support.running import TOKEN
from tools.chaos.bench import Bench, post
from tools.chaos.history import OK, Change, How
from tools.chaos.schedule import DAMAGES, Planned
from tools.chaos.subject import running
from tools.chaos.surroundings import Memory, full_disk
from tools.chaos.unruly import UNRULY
from tools.chaos.versions import GREEDY, LOOPS
from tools.swap import VERSIONS

ADMIN_PATIENCE = 45.0  # seconds; a response may wait 30 for workers that do not follow
REFUSED = frozenset({"404", "409", "503", "504"})
DRAINED = 15.0  # seconds in which a terminated worker ends
TIGHT = (24 * 2**20, 192 * 2**20)  # free bytes during a squeeze


class Faults:
    def __init__(self, bench: Bench, memory: Memory, chosen: Collection[str]) -> None:
        self._bench = bench
        self._chosen = chosen
        self._history = bench.history
        self._memory = memory
        self._do: Mapping[str, Callable[[Planned], Awaitable[None]]] = {
            "kill": self._kill,
            "stop": self._stop,
            "terminate": self._terminate,
            "activate": self._activate,
            "rollback": self._rollback,
            "follow": self._follow,
            "kill in a switch": self._kill_in_a_switch,
            "loop": lambda planned: self._no_version(planned, LOOPS),
            "greedy": lambda planned: self._no_version(planned, GREEDY),
            **dict.fromkeys(DAMAGES, self._damage),
            "disk full": self._disk_full,
            "unread": self._unread,
            "no temporary files": self._no_temporary_files,
            "squeeze": self._squeeze,
            **dict.fromkeys(UNRULY, self._unruly),
        }

    async def run(self, lanes: Mapping[str, Sequence[Planned]], seconds: float) -> None:
        """Run all lanes concurrently; each ends after its current fault."""
        end = time.monotonic() + seconds
        await asyncio.gather(*(self._lane(planned, end) for planned in lanes.values()))

    async def _lane(self, planned: Sequence[Planned], end: float) -> None:
        for each in planned:
            await asyncio.sleep(each.pause)
            if time.monotonic() > end or self._bench.service.has_ended():
                return
            if each.kind in self._chosen:
                await self._do[each.kind](each)

    # ---- processes -------------------------------------------------------------------------------

    async def _kill(self, planned: Planned) -> None:
        pid = self._bench.service.workers.get(planned.worker)
        if pid is None:  # it is being replaced at the moment
            return
        with self._history.fault("kill", pid=pid, detail=f"worker {planned.worker}"):
            _send(pid, signal.SIGKILL)

    async def _stop(self, planned: Planned) -> None:
        pid = self._bench.service.workers.get(planned.worker)
        if pid is None:
            return
        detail = f"worker {planned.worker} for {planned.seconds:.1f} s"
        with self._history.fault("stop", pid=pid, detail=detail):
            _send(pid, signal.SIGSTOP)
            await asyncio.sleep(planned.seconds)
            _send(pid, signal.SIGCONT)

    async def _terminate(self, planned: Planned) -> None:
        pid = self._bench.service.workers.get(planned.worker)
        if pid is None:
            return
        with self._history.fault("terminate", pid=pid, detail=f"worker {planned.worker}"):
            _send(pid, signal.SIGTERM)
            await self._bench.until(lambda: not running(pid), DRAINED)

    # ---- the store -------------------------------------------------------------------------------

    async def _activate(self, planned: Planned) -> None:
        await self._switch(f"versions/{planned.version}/activate", str(planned.version))

    async def _rollback(self, _: Planned) -> None:
        with suppress(StoreError, OSError):
            previous = await asyncio.to_thread(self._bench.store.previous)
            # The store may have named one of these before.
            expected = REFUSED if previous in (LOOPS, GREEDY) else OK
            await self._switch("rollback", str(previous), expected)

    async def _switch(self, path: str, version: str, expected: frozenset[str] = OK) -> None:
        """By an admin request; the outcome is in the response, or else in the store."""
        before, began = self._current(), time.monotonic()
        request = post(f"/v1/models/digits/{path}", b"", f"Authorization: Bearer {TOKEN}")
        with self._history.fault("switch", detail=path):
            answer = await self._bench.send(
                "admin", request, expected=expected, patience=ADMIN_PATIENCE
            )
        ended = time.monotonic()
        if answer is not None and answer.status == 200:
            reported = json.loads(answer.body)
            self._changed(
                reported["model"]["version"],
                began,
                ended,
                "followed" if reported["behind"] else "answered",
            )
        elif self._current() != before:
            self._changed(version, began, ended, "followed")
        elif answer is None or answer.status == 504:
            self._changed(version, began, ended, "unknown")

    async def _follow(self, planned: Planned) -> None:
        """As by `python -m contract activate`."""
        before, began = self._current(), time.monotonic()
        detail = f"to {planned.version}, in the store"
        with self._history.fault("switch", detail=detail), suppress(StoreError, OSError):
            await asyncio.to_thread(self._bench.store.activate, planned.version)
        if (now := self._current()) != before:
            self._changed(now, began, time.monotonic(), "followed")

    async def _kill_in_a_switch(self, planned: Planned) -> None:
        async def kill() -> None:
            await asyncio.sleep(planned.chance * 0.4)
            await self._kill(planned)

        await asyncio.gather(kill(), self._activate(planned))

    async def _no_version(self, planned: Planned, version: int) -> None:
        """A version that must not serve: an admin activates it, or the store names it briefly."""
        with self._history.fault(planned.kind):
            if planned.chance < 0.5:
                await self._switch(f"versions/{version}/activate", str(version), REFUSED)
                return
            before = self._current()
            with suppress(StoreError, OSError):
                await asyncio.to_thread(self._bench.store.activate, version)
            await asyncio.sleep(planned.seconds)
            await self._set_current(before)

    async def _damage(self, planned: Planned) -> None:
        what, _, how = planned.kind.partition(" is ")
        folder = self._bench.store.folder / str(planned.version)
        path = {
            "card": folder / CARD,
            "model": folder / ONNX,
            "folder": folder,
            "current": self._bench.store.folder / "current",
        }[what]
        detail = f"{planned.kind}, version {planned.version}"
        with self._history.fault("damage", detail=detail), _replaced(path, how):
            if what != "current":
                activate = f"versions/{planned.version}/activate"
                await self._switch(activate, str(planned.version), REFUSED)
            await asyncio.sleep(planned.seconds)

    async def _set_current(self, version: str) -> None:
        """Retried until the disk has room."""
        while self._current() != version:
            with suppress(StoreError, OSError):
                await asyncio.to_thread(self._bench.store.activate, int(version))
            await asyncio.sleep(0.1)

    def _current(self) -> str:
        return (self._bench.store.folder / "current").read_text().strip()

    def _changed(self, version: str, began: float, ended: float, how: How) -> None:
        if int(version) in VERSIONS:  # the others must not answer, whatever the outcome
            self._history.changes.append(Change(version, began, ended, how))

    # ---- surroundings ----------------------------------------------------------------------------

    async def _disk_full(self, planned: Planned) -> None:
        with (
            self._history.fault("disk full"),
            full_disk(self._bench.folder.parent, self._bench.service),
        ):
            await asyncio.sleep(planned.seconds)

    async def _unread(self, planned: Planned) -> None:
        with self._history.fault("unread"):
            self._bench.service.stop_reading()
            await asyncio.sleep(planned.seconds)
            self._bench.service.resume_reading()

    async def _no_temporary_files(self, _: Planned) -> None:
        with self._history.fault("no temporary files"):
            for path in self._bench.folder.iterdir():
                shutil.rmtree(path, ignore_errors=True)

    async def _squeeze(self, planned: Planned) -> None:
        room = int(TIGHT[0] + planned.chance * (TIGHT[1] - TIGHT[0]))
        detail = f"{room // 2**20} MiB are left"
        with (
            self._history.fault("squeeze", detail=detail),
            self._memory.squeezed(room, self._bench.service),
        ):
            await asyncio.sleep(planned.seconds)

    async def _unruly(self, planned: Planned) -> None:
        with self._history.fault(planned.kind):
            until = time.monotonic() + planned.seconds
            await UNRULY[planned.kind](self._bench, Random(planned.seed), until)


def _send(pid: int, sig: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, sig)


@contextmanager
def _replaced(path: Path, how: str) -> Iterator[None]:
    """Put something else in the place of a file or a folder."""
    whole = path.with_name(f".{path.name}.whole")
    path.rename(whole)
    try:
        with suppress(OSError):  # if the disk is full, it is only removed
            match how:
                case "garbage":
                    path.write_bytes(b"\0garbage\xff" * 9)
                case "cut short":
                    path.write_bytes(whole.read_bytes()[:-100])
                case "a FIFO":
                    os.mkfifo(path)
                case "a link":
                    path.symlink_to(whole)
        yield
    finally:
        path.unlink(missing_ok=True)
        whole.rename(path)
