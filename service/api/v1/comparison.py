"""The models that answer beside the one that serves, so that people may compare two versions.

    the one that served before    loaded and warm anyway           --> a thread of its own
    any other in the store        --all gates, as for serving-->   --> another thread

One of the others stays loaded, the last that was asked for: until memory is short, nobody has asked
for a while, its files are no longer the ones that were loaded, or it is loaded for serving. Loading
one costs time and memory, so only who has the admin token may ask. Nothing here is waited for by a
switch, and none of it counts in the metrics of the model that serves.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

from contract.errors import NoVersion, StoreError
from service.errors import Problem
from service.http.auth import Access
from service.http.exchange import Exchange
from service.http.offload import Offload
from service.memory.limits import shortage
from service.models.loading import GateFailed, Model, load
from service.models.manager import ModelManager, without_paths
from service.models.preflight import Preflight
from service.models.store_reader import Stamp, stamp_of
from service.problem_types.versions import (
    NO_SUCH_VERSION,
    NOT_ENOUGH_MEMORY,
    STORE_UNREADABLE,
    VERSION_FAILED_CHECK,
    VERSION_REPLACED,
)
from service.settings import Settings

UNUSED = 300.0  # seconds after which a model is let go that nobody has asked for
WAITING = 64  # requests for either thread; with 256 pictures each they hold 13 MB
T = TypeVar("T")

log = logging.getLogger("service")


class _Held(NamedTuple):
    model: Model
    stamp: Stamp | None  # of its card, when it was loaded


class SecondaryModel:
    def __init__(
        self, serving: ModelManager, settings: Settings, access: Access, unused: float = UNUSED
    ) -> None:
        self._serving = serving
        self._settings = settings
        self._access = access
        self._unused = unused
        self._held: _Held | None = None
        self._holding = threading.Lock()
        self._used = 0.0  # when it was last asked for, on monotonic
        self._preflight = Preflight()
        self._timer: asyncio.TimerHandle | None = None
        self._warm = Offload(WAITING, at_once=1, stage="model", done="answered")
        again = "answered; a version that is being loaded will be there for the next"
        self._others = Offload(WAITING, at_once=1, stage="model", done=again)
        serving.when_swapped.append(self._look_after_swap)
        serving.when_memory_is_short.append(self.let_go)

    @property
    def number(self) -> int | None:
        """Of the version that is loaded to be compared."""
        held = self._held
        return None if held is None else held.model.number

    def is_warm(self, number: int) -> bool:
        """Whether that is the version that served before, and still loaded."""
        previous = self._serving.previous
        return previous is not None and previous.number == number

    def admit(self, number: int, headers: Mapping[bytes, bytes]) -> None:
        """AccessDenied unless the client may have predictions of that version."""
        if number != self._serving.model.number and not self.is_warm(number):
            self._access.check_admin(headers)

    def do(
        self,
        exchange: Exchange,
        number: int,
        work: Callable[[Model], T],
        then: Callable[[T], object],
    ) -> None:
        """`then` of `work` with that version's model, in a thread; see `Offload`."""
        self.admit(number, exchange.headers)  # it may have been warm, and is no longer
        exchange.beside = True
        if self.is_warm(number) or number == self._serving.model.number:
            self._warm.do(exchange, lambda: work(self._warm_model(number)), then)
        else:
            self._others.do(exchange, lambda: self._with_other(number, work), then)
            self._used = time.monotonic()
            if self._timer is None:
                self._look_at_clock()

    def let_go(self, reason: str) -> None:
        """Free the memory of what is compared; called on a thread, for a session ends its own."""
        with self._holding:
            held, self._held = self._held, None
        if held is not None:
            log.info("version %d is compared no longer: %s", held.model.number, reason)

    def stop_loading(self) -> None:
        """Give up a version that is being loaded with `Closed`."""
        self._preflight.close()

    def close(self) -> None:
        self.stop_loading()
        if self._timer is not None:
            self._timer.cancel()
        self._warm.close()
        self._others.close()

    # ---- on the event loop ----------------------------------------------------------------------

    def _look_after_swap(self) -> None:
        number = self.number
        if number is not None and (number == self._serving.model.number or self.is_warm(number)):
            self._others.later(lambda: self.let_go("it is loaded for serving"))

    def _look_at_clock(self) -> None:
        left = self._used + self._unused - time.monotonic()
        if left > 0:
            self._timer = asyncio.get_running_loop().call_later(left, self._look_at_clock)
        else:
            self._timer = None
            told = f"nobody has asked for it for {self._unused:g} s"
            self._others.later(lambda: self.let_go(told))

    # ---- on the threads -------------------------------------------------------------------------

    def _loaded_for_serving(self, number: int) -> Model | None:
        for model in (self._serving.previous, self._serving.model):
            if model is not None and model.number == number:
                return model
        return None

    def _warm_model(self, number: int) -> Model:
        model = self._loaded_for_serving(number)
        if model is None:
            raise Problem(VERSION_REPLACED, f"version {number} was let go meanwhile; ask again")
        return model

    def _with_other(self, number: int, work: Callable[[Model], T]) -> T:
        try:
            return work(self._loaded_for_serving(number) or self._other_model(number))
        finally:
            self._used = time.monotonic()

    def _other_model(self, number: int) -> Model:
        stamp, held = stamp_of(self._serving.store, number), self._held
        if held is not None and (held.model.number, held.stamp) == (number, stamp):
            return held.model
        del held  # or it would stay in memory beside the new one
        if self.number == number:
            self.let_go("its files are no longer those that were loaded")
        model = self._load(number)
        with self._holding:
            self._held = _Held(model, stamp)
        log.info("version %d is loaded to be compared (%.2f s)", number, model.seconds)
        return model

    def _load(self, number: int) -> Model:
        """In place of the one there is; Problem unless there is room, and it passes every gate."""
        store = self._serving.store
        try:
            store.find(number)
            self.let_go(f"version {number} is asked for")
            short = shortage(self._settings.memory_reserve)
            if short is not None:
                raise Problem(NOT_ENOUGH_MEMORY, f"version {number} is not loaded: {short}")
            return load(store, number, self._settings, self._preflight)
        except NoVersion as error:
            raise Problem(NO_SUCH_VERSION, without_paths(error, store)) from error
        except GateFailed as failure:
            told = without_paths(failure, store)
            log.warning("version %d cannot be compared: %s", number, told)
            raise Problem(
                VERSION_FAILED_CHECK, f"the check {failure.gate!r} failed: {told}"
            ) from failure
        except (StoreError, OSError) as error:
            told = without_paths(error, store)
            raise Problem(STORE_UNREADABLE, told) from error
