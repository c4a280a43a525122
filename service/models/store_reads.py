"""Reads of the model store, or of another folder, which may hang: a file server that is gone
reports no error.

    request --at most WAITING wait--> one at a time, each on a thread of its own --> result
                                      after STORE_TIMEOUT: StoreHangs, and the next one's turn

Python cannot end a thread that the kernel holds. Such a thread is left behind, and counted until it
returns; while there are MOST_STUCK of them, nothing more is read. One at a time, because what a
read costs is mostly Python, which the event loop would have to wait for.
"""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from contract.errors import NoModel, StoreError
from contract.store import Store
from service.errors import Problem, ProblemType
from service.problem_types.versions import STORE_UNREADABLE
from service.settings import Settings

WAITING = 64  # reads
MOST_STUCK = 4  # threads
T = TypeVar("T")

log = logging.getLogger("service")


class StoreHangs(StoreError):
    """The folder has not answered in time; nobody knows when it will."""

    def __init__(self, sentence: str, retry_after: float) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after  # seconds


class StoreReads:
    """Used on the event loop alone."""

    def __init__(
        self, settings: Settings, name: str = "the model store", setting: str = "DIGITSERVE_MODELS"
    ) -> None:
        """`name` is that of the folder in messages, and `setting` what names its path."""
        of_model = f"the store of the model {settings.model!r}"
        self._name, self._setting = name, setting
        self._subject = of_model if setting == "DIGITSERVE_MODELS" else name
        self._timeout = settings.store_timeout
        self._waiting: dict[asyncio.Future[Any], Callable[[], Any]] = {}  # in order
        self._under_way: object | None = None  # the read whose turn it is
        self._stuck: set[object] = set()
        self._hangs_since = 0.0  # on time.monotonic, while any are stuck

    @property
    def stuck(self) -> int:
        """Threads that read for longer than they may, and have not returned."""
        return len(self._stuck)

    async def read(self, work: Callable[[], T]) -> T:
        """What `work` returns, called on a thread; StoreHangs if that takes too long, or would."""
        if len(self._stuck) >= MOST_STUCK:
            raise self._hangs(f"does not answer ({self._setting}): {MOST_STUCK} reads of it hang")
        if len(self._waiting) >= WAITING:
            raise self._hangs(f"is read by {WAITING} other requests already")
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting[done] = work
        self._next()
        try:
            async with asyncio.timeout(self._timeout):
                return await done
        except TimeoutError:
            if done.done() and not done.cancelled():  # just in time, or an error of the read itself
                return done.result()
            raise self._hangs(
                f"did not answer within {self._timeout:g} s (DIGITSERVE_STORE_TIMEOUT)"
            ) from None
        finally:
            self._waiting.pop(done, None)

    def _hangs(self, what: str) -> StoreHangs:
        return StoreHangs(f"{self._subject} {what}", self._timeout)

    def _next(self) -> None:
        """Begin the read that has waited for the longest time, if it may."""
        if self._under_way is not None or len(self._stuck) >= MOST_STUCK or not self._waiting:
            return
        done = next(iter(self._waiting))
        work = self._waiting.pop(done)
        loop = asyncio.get_running_loop()
        turn = object()
        alarm = loop.call_later(self._timeout, self._late, turn)

        def ended(result: Any, error: Exception | None) -> None:
            alarm.cancel()
            if not done.done():
                if error is None:
                    done.set_result(result)
                else:
                    done.set_exception(error)
            self._returned(turn)

        def run() -> None:
            result, error = None, None
            try:
                result = work()
            except Exception as failure:
                error = failure
            with suppress(RuntimeError):  # the loop is closed, the process ends
                loop.call_soon_threadsafe(ended, result, error)

        threading.Thread(target=run, name="store", daemon=True).start()
        self._under_way = turn

    def _late(self, turn: object) -> None:
        self._under_way = None
        if not self._stuck:
            self._hangs_since = time.monotonic() - self._timeout
            log.error("%s does not answer; what serves goes on serving", self._name)
        self._stuck.add(turn)
        self._next()

    def _returned(self, turn: object) -> None:
        if turn is self._under_way:
            self._under_way = None
        else:
            self._stuck.discard(turn)
            if not self._stuck:
                seconds = time.monotonic() - self._hangs_since
                log.warning("%s answers again, after %.0f s", self._name, seconds)
        self._next()


def check_store(store: Store, number: int | None, settings: Settings) -> None:
    """StoreHangs unless a version, the current one for None, can be read in time at a start.

    NoModel, with the settings that name its folder, if that does not exist. Loading the version
    reports whatever else is wrong with it.
    """
    missing: list[NoModel] = []

    def read() -> None:
        with suppress(StoreError, OSError):
            try:
                store.card(store.current() if number is None else number)
            except NoModel as error:
                missing.append(error)

    reading = threading.Thread(target=read, name="store", daemon=True)
    reading.start()
    reading.join(settings.store_timeout)
    if reading.is_alive():
        raise StoreHangs(
            f"the model store {store.place} did not answer within {settings.store_timeout:g} s "
            "(DIGITSERVE_STORE_TIMEOUT): see that the disk or file server of DIGITSERVE_MODELS "
            "answers",
            settings.store_timeout,
        )
    if missing:
        raise NoModel(
            f"{missing[0]} (DIGITSERVE_MODELS={settings.models}, DIGITSERVE_MODEL={settings.model})"
        )


def store_problem(error: Exception, store: Store, kind: ProblemType = STORE_UNREADABLE) -> Problem:
    """The response to a request for which the store, or a version in it, cannot be read."""
    headers = {}
    if isinstance(error, StoreHangs):
        headers["retry-after"] = str(math.ceil(error.retry_after))
    return Problem(kind, without_paths(error, store), headers=headers)


def without_paths(reason: Exception | str, store: Store) -> str:
    """The reason without the paths of the store, which are for the log alone."""
    text, name = str(reason), store.folder.name
    for place in {str(store.folder), store.place}:
        text = text.replace(f"{place}/", "").replace(place, name)
    return text
