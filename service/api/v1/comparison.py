"""A secondary model beside the one that serves, so that two versions can be compared.

    the version that served before   loaded and warm anyway          --> a thread of its own
    any other in the store           --all gates, as for serving-->  --> another thread

The other version that was requested last stays loaded until memory is short, no request came for a
while, its files have changed, or it is loaded for serving. Loading one costs time and memory, so it
requires the admin token. A switch waits for nothing here, and none of it counts in the metrics of
the model that serves.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from contract.errors import NoVersion, StoreError
from contract.store import Stamp
from service.batching.interface import QueueFull
from service.errors import Problem
from service.http.auth import Access
from service.http.exchange import Exchange
from service.http.offload import Offload, whole
from service.memory.budget import shortage
from service.models.loading import GateFailed, Model, load
from service.models.manager import ModelManager
from service.models.preflight import Preflight
from service.models.store_reads import store_problem, without_paths
from service.problem_types.versions import NO_SUCH_VERSION, NOT_ENOUGH_MEMORY, VERSION_REPLACED
from service.settings import Settings

UNUSED = 300.0  # seconds without a request after which the secondary model is unloaded
WAITING = 64  # requests for either thread
T = TypeVar("T")

log = logging.getLogger("service")


class SecondaryModel:
    def __init__(
        self, serving: ModelManager, settings: Settings, access: Access, unused: float = UNUSED
    ) -> None:
        self._serving = serving
        self._settings = settings
        self._access = access
        self._unused = unused
        # The model, and the stamp of its card when it was loaded.
        self._loaded: tuple[Model, Stamp | None] | None = None
        self._loading = threading.Lock()
        self._used = 0.0  # when it was last requested, on monotonic
        self._preflight = Preflight()
        self._timer: asyncio.TimerHandle | None = None
        most = settings.max_request_bytes // 2  # bytes of images that wait for either thread
        self._warm = _model_thread("answered", most)
        again = "answered; a version that is being loaded will be there for the next"
        self._others = _model_thread(again, most)
        serving.when_swapped.append(self._unload_after_swap)
        serving.when_memory_is_short.append(self.unload)

    @property
    def number(self) -> int | None:
        """The version that is loaded for comparison."""
        loaded = self._loaded
        return None if loaded is None else loaded[0].number

    def is_warm(self, number: int) -> bool:
        """Whether that is the version that served before, and still loaded."""
        previous = self._serving.previous
        return previous is not None and previous.number == number

    def admit(self, number: int, headers: Mapping[bytes, bytes]) -> None:
        """Problem 401 or 403 unless the client may have predictions of that version."""
        if number != self._serving.model.number and not self.is_warm(number):
            self._access.check_admin(headers)

    def do(
        self,
        exchange: Exchange,
        number: int,
        work: Callable[[Model], T],
        then: Callable[[T], object],
        holds: int = 0,
    ) -> None:
        """Call `then` with the result of `work`, which gets that version's model on a thread.

        `holds`: the bytes of its images. QueueFull if those of all that wait are too many.
        """
        self.admit(number, exchange.headers)  # it may have been warm, and is no longer
        exchange.beside = True
        if self.is_warm(number) or number == self._serving.model.number:
            thread, with_model = self._warm, self._with_warm
        else:
            thread, with_model = self._others, self._with_other
        slices = whole(0, lambda: with_model(number, work))
        thread.do(exchange, slices, lambda result, _: then(result), keeps=holds)
        if thread is self._others:
            self._used = time.monotonic()
            if self._timer is None:
                self._unload_when_unused()

    def unload(self, reason: str) -> None:
        """Free its memory. Call it on a thread: the end of a session waits for its own threads."""
        with self._loading:
            loaded, self._loaded = self._loaded, None
        if loaded is not None:
            log.info("version %d is unloaded after comparison: %s", loaded[0].number, reason)

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

    def _unload_after_swap(self) -> None:
        number = self.number
        if number is not None and (number == self._serving.model.number or self.is_warm(number)):
            self._others.run(lambda: self.unload("it is loaded for serving"))

    def _unload_when_unused(self) -> None:
        left = self._used + self._unused - time.monotonic()
        if left > 0:
            self._timer = asyncio.get_running_loop().call_later(left, self._unload_when_unused)
        else:
            self._timer = None
            reason = f"it was not requested for {self._unused:g} s"
            self._others.run(lambda: self.unload(reason))

    # ---- on the threads -------------------------------------------------------------------------

    def _loaded_for_serving(self, number: int) -> Model | None:
        for model in (self._serving.previous, self._serving.model):
            if model is not None and model.number == number:
                return model
        return None

    def _with_warm(self, number: int, work: Callable[[Model], T]) -> T:
        model = self._loaded_for_serving(number)
        if model is None:
            raise Problem(VERSION_REPLACED, f"version {number} was unloaded meanwhile; try again")
        return work(model)

    def _with_other(self, number: int, work: Callable[[Model], T]) -> T:
        try:
            return work(self._loaded_for_serving(number) or self._other_model(number))
        finally:
            self._used = time.monotonic()

    def _other_model(self, number: int) -> Model:
        stamp, loaded = self._serving.store.stamp(number), self._loaded
        if loaded is not None and (loaded[0].number, loaded[1]) == (number, stamp):
            return loaded[0]
        del loaded  # or it would stay in memory beside the new one
        if self.number == number:
            self.unload("its files have changed")
        model = self._load(number)
        with self._loading:
            self._loaded = model, stamp
        log.info("version %d is loaded for comparison (%.2f s)", number, model.seconds)
        return model

    def _load(self, number: int) -> Model:
        """In place of the current one; Problem unless memory suffices and every gate is passed."""
        store = self._serving.store
        try:
            store.find(number)
            self.unload(f"version {number} is requested")
            short = shortage(self._settings.memory_reserve)
            if short is not None:
                raise Problem(NOT_ENOUGH_MEMORY, f"version {number} is not loaded: {short}")
            return load(store, number, self._settings, self._preflight)
        except NoVersion as error:
            raise store_problem(error, store, NO_SUCH_VERSION) from error
        except GateFailed as failure:
            reason = without_paths(failure, store)
            log.warning("version %d cannot be compared: %s", number, reason)
            raise failure.problem(store) from failure
        except (StoreError, OSError) as error:
            raise store_problem(error, store) from error


def _model_thread(done: str, most: int) -> Offload:
    return Offload(WAITING, kept=most, threads=1, stage="model", done=done, full=QueueFull)
