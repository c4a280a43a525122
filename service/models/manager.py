"""Which model answers, and how another takes its place while requests go on.

    `current` changed, or an admin's request --load beside the running one, all gates--> swap

A version is tried in a child process first: see `preflight`. One switch is made at a time, and has
a deadline; a request for another one waits for a while meanwhile, and is then refused.

The swap is one assignment. The batcher's model reads `model` once a batch, so it falls between two
batches, and every response names its version. A version that fails a gate changes nothing:
the one that serves goes on serving, and the reason is in the log, in /v1/status and in
model_swap_total{result}.

The model that served before stays loaded, so that going back to it costs only its golden set, until
free memory is short: then it is unloaded, also before another one is loaded.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from contract import activation
from contract.errors import NotConfirmed, NoVersion, StoreError, WorseVersion
from contract.store import Store
from service.batching.interface import Closed
from service.engine.info import FALLBACK_KINDS
from service.errors import Problem
from service.lifecycle import DaemonExecutor
from service.memory.budget import shortage
from service.models.backoff import Backoff
from service.models.bucket_status import BucketStatus
from service.models.load_limits import seconds_of
from service.models.loading import Gate, GateFailed, Model, check, load, verify
from service.models.preflight import Preflight
from service.models.store_reads import StoreReads, without_paths
from service.problem_types.versions import SWITCH_NOT_RECORDED, SWITCH_UNDER_WAY
from service.settings import Settings
from service.telemetry.metrics.inputs import Expected
from service.telemetry.metrics.registry import SWAPS, Metrics, SwapResult

FAILED: dict[Gate, SwapResult] = {
    "verify": "failed_verify",
    "load": "failed_load",
    "golden": "failed_golden",
}
# A switch takes at most so many times LOAD_TIMEOUT: for a turn, in the child process, and here.
DEADLINE = 3
LAST_WAIT = 2.0  # seconds to wait for a load at the end: exiting within a library may crash
T = TypeVar("T")

log = logging.getLogger("service")


class LoaderTimeout(StoreError):
    """Reading the store, or loading from it, has not ended by the deadline of the switch."""


class Superseded(Exception):
    """While a version was loaded because it was current, another one became current."""


@dataclass(frozen=True)
class Swap:
    """The last attempt to serve another version."""

    version: int | None  # None: which one could not be read
    result: SwapResult
    reason: str | None  # None: it serves
    ended: float  # time.monotonic()
    seconds: float  # that it took

    @property
    def at(self) -> str:
        """When it ended, by the wall clock as it is set now."""
        ended = datetime.fromtimestamp(time.time() - (time.monotonic() - self.ended), UTC)
        return ended.isoformat(timespec="seconds")


class Activated(NamedTuple):
    model: Model
    warnings: tuple[str, ...] = ()  # sentences about the version in place of the one before


class ModelManager:
    def __init__(
        self,
        store: Store,
        model: Model,
        settings: Settings,
        metrics: Metrics,
        bucket: BucketStatus | None = None,
    ) -> None:
        self.store = store
        self.bucket = bucket  # None: the store is a folder
        self.model = model  # what answers; read from the batcher's thread, once a batch
        self.previous: Model | None = None  # loaded and warm
        self.last_swap: Swap | None = None
        # For requests that only read, and for switches, which do not wait behind them.
        self.reads, self._own_reads = StoreReads(settings), StoreReads(settings)
        self.when_swapped: list[Callable[[], None]] = []  # called after each swap
        # Called first, on the loader's thread, with the reason.
        self.when_memory_is_short: list[Callable[[str], None]] = []
        self._settings = settings
        self._metrics = metrics
        self._one_at_a_time = asyncio.Lock()
        self._under_way: tuple[int | None, float] = None, 0.0  # its version and start
        self._most = DEADLINE * seconds_of(settings)  # seconds for a switch
        self._deadline = 0.0  # of the current switch, on time.monotonic
        self._thread = DaemonExecutor("loader")
        self._preflight = Preflight()
        self._retry = Backoff(settings.watch_seconds)
        for result in SWAPS:
            metrics.model_swaps.labels(result)
        for what in FALLBACK_KINDS:
            metrics.engine_fallbacks.labels(what)
        self._begin_series(model)
        metrics.before_scrape.append(lambda: metrics.store_reads_stuck.set(self.stuck_reads))
        self._announce()
        self._keep_copies()

    @property
    def stuck_reads(self) -> int:
        """Reads of the store that did not end by their deadline and go on."""
        return self.reads.stuck + self._own_reads.stuck

    async def activate(self, number: int, *, force: bool = False) -> Activated:
        """Serve a version and make it current in the store, if it passes every gate.

        Raises NoVersion, GateFailed or Problem 409, if the store could not record the switch or
        another one is under way; WorseVersion, unless `force`, if it is known to be worse than the
        current version. Then the model that served goes on.
        """
        warnings: tuple[str, ...] = ()

        def record() -> None:
            nonlocal warnings
            warnings = activation.activate(self.store, number, force=force).warnings

        async with self._turn(self._settings.request_timeout):
            await self._own_reads.read(lambda: self._find(number))
            if number == self.model.number:  # the store may have another one, which does not serve
                return Activated(await self._take(number, lambda: self.store.activate(number)))
            # Before it is loaded, which may take long; `record` compares again.
            await self._own_reads.read(lambda: activation.check(self.store, number, force=force))
            model = await self._take(number, record)
        for warning in warnings:
            log.warning("version %d was activated by hand: %s", number, warning)
        return Activated(model, warnings)

    async def rollback(self) -> Activated:
        """The same with the version that was current before, whether it is worse or not.

        NoVersion if none was.
        """
        async with self._turn(self._settings.request_timeout):
            try:
                number = await self._own_reads.read(self.store.previous)
            except NoVersion:
                raise
            except (StoreError, OSError) as error:
                self._failed(None, "failed_record", error, 0.0)
                cause = without_paths(error, self.store)
                raise Problem(SWITCH_NOT_RECORDED, f"{cause}; nothing changed") from error
            model = await self._take(number, lambda: self.store.activate(number, "rollback"))
            return Activated(model)

    async def follow(self) -> None:
        """Serve whichever version is current in the store, until cancelled."""
        while self._settings.watch_seconds:
            # Replicas that started together do not all look at once.
            jitter = random.uniform(0.8, 1.2)  # noqa: S311
            await asyncio.sleep(self._settings.watch_seconds * jitter)
            await self._reload_or_log()

    async def reload(self) -> None:
        """Serve the current version of the store now, if it passes every gate."""
        self._retry.forget()
        await self._reload_or_log()

    async def wait_for_switch(self) -> None:
        """Problem 409 if one goes on for longer than a request may wait."""
        async with self._turn(self._settings.request_timeout):
            pass

    async def evict(self, number: int, *, patient: bool = False) -> None:
        """Free the memory of the version that served before, if that is its number.

        Problem 409, unless it is `patient`, if a switch does not end in time.
        """
        async with self._turn(None if patient else self._settings.request_timeout):
            previous = self.previous
            if previous is not None and previous.number == number:
                self.previous = None
                log.info("version %d is unloaded, as requested", number)
                gone = [previous]
                del previous
                self._thread.submit(gone.clear)  # as in a swap

    def stop_loading(self) -> None:
        """Abort the current switch with `Closed`: nobody will use the version."""
        self._preflight.close()

    def close(self) -> None:
        self.stop_loading()
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._thread.join(LAST_WAIT)

    async def _reload_or_log(self) -> None:
        try:
            await self._reload()
        except Exception:  # a defect is logged, and the service goes on
            log.exception("following the store failed")

    @asynccontextmanager
    async def _turn(self, patience: float | None) -> AsyncIterator[None]:
        """One switch at a time; Problem 409 after so many seconds, or never for None."""
        try:
            async with asyncio.timeout(patience):
                await self._one_at_a_time.acquire()
        except TimeoutError:
            number, since = self._under_way
            raise Problem(
                SWITCH_UNDER_WAY,
                f"a switch to {'another version' if number is None else f'version {number}'} is "
                f"under way, since {time.monotonic() - since:.0f} s",
            ) from None
        now = time.monotonic()
        self._under_way, self._deadline = (None, now), now + self._most
        try:
            yield
        finally:
            self._one_at_a_time.release()

    async def _reload(self) -> None:
        async with self._turn(None):
            await self._on_loader(self._evict_if_memory_is_short)
            number = None
            try:
                number = await self._own_reads.read(self.store.current)
                if number == self.model.number:
                    self._retry.forget()
                elif self._retry.due(number):
                    await self._take(number, lambda: self._check_still_current(number))
            except Superseded:
                pass  # the next look takes that one
            except Closed:
                pass  # the service stops
            except (GateFailed, Problem):  # logged already
                self._retry.failed(number)
            except (StoreError, OSError) as error:
                if self._retry.due(None):
                    self._failed(None, "failed_verify", error, 0.0)
                    self._retry.failed(None)

    def _check_still_current(self, number: int) -> None:
        if self.store.current() != number:
            raise Superseded

    async def _take(self, number: int, record: Callable[[], object]) -> Model:
        """Load, prove, record, swap; with the lock held.

        `record` makes the version current, or makes sure that it still is.
        """
        began = time.perf_counter()
        self._under_way = number, self._under_way[1]
        try:
            try:
                model = await self._on_loader(lambda: self._loaded(number))
            except LoaderTimeout as error:
                raise GateFailed("load", error) from error
            await self._on_loader(record)
        except GateFailed as failure:
            seconds = time.perf_counter() - began
            self._failed(number, FAILED[failure.gate], failure, seconds)
            raise
        except NotConfirmed as error:  # it is done, and seen by everybody
            log.warning("%s", error)
        except WorseVersion:  # than one that became current meanwhile
            raise
        except (StoreError, OSError) as error:
            self._failed(number, "failed_record", error, time.perf_counter() - began)
            late = isinstance(error, LoaderTimeout)
            what = "it may be recorded later, as `current` will say" if late else "nothing changed"
            cause = without_paths(error, self.store)
            raise Problem(SWITCH_NOT_RECORDED, f"{cause}; {what}") from error
        self._retry.forget()
        if model is not self.model:
            self._begin_series(model)
            before, gone = self.model, [self.previous]
            self.previous, self.model = before, model
            self._swapped(before.number, time.perf_counter() - began)
            # A session ends its threads when it goes: not on the event loop.
            self._thread.submit(gone.clear)
            self._keep_copies()
            for callback in self.when_swapped:
                callback()
        return model

    def _find(self, number: int) -> None:
        """NoVersion unless it is there; with all that recording the switch will read."""
        with suppress(StoreError):  # a switch mends it
            self.store.current()
        self.store.find(number)

    def _loaded(self, number: int) -> Model:
        """The model of a version: one that is loaded already, or a new one."""
        warm = self._warm(number)
        if warm is not None:
            return warm
        self._evict_if_memory_is_short()
        return load(self.store, number, self._settings, self._preflight)

    def _warm(self, number: int) -> Model | None:
        """The model that serves or the one before, if that is the requested version.

        Its files are verified as any others': they may have changed since it was loaded.
        """
        previous = self.previous
        if number not in (self.model.number, previous and previous.number):
            return None
        version = verify(self.store, number)
        # By number and card: two versions may have equal cards, and a number's files may change.
        if (version.number, version.card) == (self.model.number, self.model.card):
            return self.model
        if previous is not None and (version.number, version.card) == (
            previous.number,
            previous.card,
        ):
            check(version, previous.engine)
            return previous
        return None

    def _evict_if_memory_is_short(self) -> None:
        short = shortage(self._settings.memory_reserve)
        if short is None:
            return
        for evict in self.when_memory_is_short:
            evict(short)
        short, previous = shortage(self._settings.memory_reserve), self.previous
        if short is not None and previous is not None:
            self.previous = None
            log.warning("version %d is unloaded: %s", previous.number, short)

    async def _on_loader(self, work: Callable[[], T]) -> T:
        """Call `work` on the loader's thread: disks may be slow and models large.

        LoaderTimeout at the deadline of the switch. Python cannot end a thread: it is abandoned,
        its result is discarded, and a new thread replaces it.
        """
        future = asyncio.get_running_loop().run_in_executor(self._thread, work)
        # Retrieves an exception that is no longer awaited, after the deadline or while stopping.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        left = self._deadline - time.monotonic()
        if await asyncio.wait([future], timeout=left) == (set(), {future}):
            self._thread.shutdown(wait=False)
            self._thread = DaemonExecutor("loader")
            raise LoaderTimeout(
                f"the switch has not ended within {self._most:g} s, {DEADLINE} times "
                "DIGITSERVE_LOAD_TIMEOUT"
            )
        return future.result()

    # ---- reports ------------------------------------------------------------------------------

    def _swapped(self, before: int, seconds: float) -> None:
        self._note(Swap(self.model.number, "swapped", None, time.monotonic(), seconds))
        self._announce()
        log.info("version %d serves in place of %d (%.2f s)", self.model.number, before, seconds)

    def _failed(
        self, number: int | None, result: SwapResult, reason: Exception, seconds: float
    ) -> None:
        detail = without_paths(reason, self.store)
        last = self.last_swap
        self._note(Swap(number, result, detail, time.monotonic(), seconds))
        if last is None or (last.version, last.reason) != (number, detail):  # again: only counted
            log.error(
                "version %s does not serve, %d goes on (%s): %s",
                number or "?",
                self.model.number,
                result,
                reason,
            )

    def _keep_copies(self) -> None:
        """Have the bucket's versions in the cache that a restart or a rollback needs."""
        if self.bucket is not None:
            previous = self.previous.number if self.previous is not None else None
            self._thread.submit(self.bucket.serves, self.model.number, previous)

    def _note(self, swap: Swap) -> None:
        self.last_swap = swap
        self._metrics.model_swaps.labels(swap.result).inc()

    def _begin_series(self, model: Model) -> None:
        """Have the series of a model that is about to serve."""
        labels = [label for (label,) in model.labels]
        card = model.card
        self._metrics.version_serves(model.number)
        self._metrics.labels_serve(labels)
        self._metrics.inputs.serves(
            Expected(model.number, card.preparation, labels, card.inputs or {})
        )

    def _announce(self) -> None:
        """Set the metrics of the model that serves, and log its fallbacks."""
        engine, card = self.model.engine, self.model.card
        sha256 = card.files[engine.artifact].sha256
        self._metrics.model_info.set(1, card.name, str(self.model.number), sha256, engine.provider)
        self._metrics.model_load_seconds.set(self.model.seconds)
        self._metrics.provider_fallback.set(engine.info.provider_fell_back)
        for fallback in engine.info.fallbacks:
            self._metrics.engine_fallbacks.labels(fallback.what).inc()
            log.warning("version %d: %s", self.model.number, fallback)
