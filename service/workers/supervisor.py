"""Workers on one port: starts them, replaces those that die or hang, ends them together.

    python -m service ── supervisor: ports, signals, who serves what; imports nothing heavy
        ├── worker 0: the whole service, with a listening socket and a batcher of its own
        └── worker 1: the same

    ready     all have loaded their model; then each gets its socket, and the address is announced
    died      the others accept the connections of its socket too until its replacement is ready,
              which is when it serves the version that they serve
    switched  an admin's switch in one worker makes the others look at the store at once
    SIGTERM   every worker drains as a single process would; a second signal ends all within 1 s

A worker whose supervisor is gone drains and ends. One that reports nothing for HANG_TIMEOUT is
killed, and counts as died. DIGITSERVE_SUPERVISE runs a single worker like this as well.
"""

import asyncio
import logging
import signal
import time
from collections.abc import Mapping

from contract.card import SAMPLE
from service.errors import CannotStart
from service.memory.budget import MemoryBudget
from service.settings import Settings
from service.telemetry.logs.handler import AsyncLogHandler
from service.telemetry.logs.setup import log_errors_of_loop, say_ready
from service.telemetry.logs.streams import STREAMS
from service.telemetry.metrics.shared_memory import SERIES, SharedMemory, reserve, tables_size
from service.workers.slots import WorkerPool, WorkerSlot
from service.workers.sockets import listen_together, remove_path, url_of

TICK = 1.0  # seconds
STABLE = 10.0  # seconds that a worker lives if it is replaced at once when it dies
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between attempts to replace a worker
# Seconds from the last request's deadline, or from a second signal, until workers that have not
# ended are killed. They end by themselves before; one that is suspended cannot.
LATE = 0.9

log = logging.getLogger("service")


def serve_together(
    settings: Settings, environment: Mapping[str, str], log_handler: AsyncLogHandler
) -> None:
    """Serve from several processes until a signal ends them.

    Raises CannotStart if the port is taken, or if a worker does not become ready at first.
    """
    listeners = listen_together(settings)
    try:
        descriptor = reserve(len(listeners) * (SERIES + tables_size(settings)))
        memory = SharedMemory(descriptor, len(listeners))
        log_handler.share_lock(descriptor)
        slots = [WorkerSlot(*each, memory, environment) for each in enumerate(listeners)]
        asyncio.run(Supervisor(settings, slots).run())
    finally:
        remove_path(settings)
    log.info("stopped")


class Supervisor:
    def __init__(self, settings: Settings, slots: list[WorkerSlot]) -> None:
        self._settings = settings
        self._slots = WorkerPool(slots)
        self._ready = False  # all were, once
        self._stopping = asyncio.Event()
        self._version: int | None = None  # that a worker began to serve last

    async def run(self) -> None:
        log_errors_of_loop()
        loop = asyncio.get_running_loop()
        for sig in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sig, self._signalled, sig)
        watching = asyncio.create_task(self._watch())
        try:
            await asyncio.gather(*map(self._keep, self._slots.all))
        finally:
            watching.cancel()
            self._slots.kill()
            for slot in self._slots.all:
                slot.end()

    async def _keep(self, slot: WorkerSlot) -> None:
        """Have a worker in the slot until the service stops."""
        pause, version = 0.0, None
        while not self._stopping.is_set():
            slot.start(version)
            self._slots.broadcast()
            began = time.monotonic()
            reason = await self._follow(slot)
            ended = await asyncio.to_thread(slot.end)
            served = slot.state.version is not None
            if not self._stopping.is_set():
                self._slots.others_listen(slot)
            slot.clear()
            self._slots.broadcast()
            if self._stopping.is_set():
                return
            if not self._ready:
                raise CannotStart(reason or f"worker {slot.number} did not start: {ended}")
            stable = served and time.monotonic() - began >= STABLE
            pause = 0.0 if stable else min(max(pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
            log.error(
                "worker %d ended (%s); another starts in %g s", slot.number, reason or ended, pause
            )
            await self._pause(pause)
            # What the others serve, even if something else is current by now: they follow the
            # store at their own time. Only where that does not start, whatever is current.
            version = None if reason else self._version
            self._slots.restarts += 1

    async def _follow(self, slot: WorkerSlot) -> str | None:
        """Follow a worker's reports until it is gone; returns why it could not start, if so."""
        reason = None
        async for report in slot.messages():
            reason = report.failed
            before = slot.state
            slot.state = before.model_copy(
                update=report.model_dump(include={"version", "image_bytes", "reloaded"})
            )
            if slot.listens and report.version != before.version:
                self._version = report.version
            waits = not (slot.listens or slot.leaving or self._stopping.is_set())
            if waits and report.version is not None:
                self._is_ready(slot)
            if slot.state != before:
                self._slots.broadcast()
            if report.reload_all:
                self._slots.broadcast(reload=True, but=slot)
            if report.evict is not None:
                self._slots.broadcast(evict=report.evict, but=slot)
            if report.leaving and not self._stopping.is_set():
                slot.leaving = True
                self._slots.others_listen(slot)
        return reason

    def _is_ready(self, slot: WorkerSlot) -> None:
        """A worker that does not listen yet has loaded a version, or has looked at the store.

        It gets its socket once it serves what the others serve: a switch may have come meanwhile.
        """
        if not self._ready:
            self._begin_together()
        elif slot.state.version == self._version:
            self._slots.listens(slot)
        elif not slot.has_reloaded:
            self._slots.have_reloaded(slot)
        elif slot.wanted is None:  # what the others serve did not start: whatever is current
            self._slots.listens(slot)
        else:
            log.error("worker %d does not serve what the others serve: it is killed", slot.number)
            slot.kill()

    def _begin_together(self) -> None:
        """Open the port if all workers have loaded the same version."""
        slots = self._slots.all
        versions = {each.state.version for each in slots}
        if None in versions:
            return
        if len(versions) == 1:
            (self._version,) = versions
            self._all_ready()
        elif all(each.has_reloaded for each in slots):
            raise CannotStart("a switch came meanwhile, and not every worker can serve the version")
        else:
            for each in slots:
                self._slots.have_reloaded(each)

    def _all_ready(self) -> None:
        self._ready = True
        # One without the others: all serve the same version.
        MemoryBudget.of(self._settings, self._slots.all[0].state.image_bytes).log()
        for slot in self._slots.all:
            self._slots.listens(slot)
        sample = self._settings.versions / str(self._version) / SAMPLE
        say_ready(self._settings, url_of(self._slots.all[0].listener), sample)

    async def _watch(self) -> None:
        counts = STREAMS.counts
        while True:
            await asyncio.sleep(TICK)
            if counts != STREAMS.counts:
                counts = STREAMS.counts
                self._slots.broadcast()
            for slot in self._slots.all:
                # Ticks, not seconds: when a machine or a container was suspended, all were.
                slot.silent += 1
                if slot.silent * TICK > self._settings.hang_timeout and slot.listens:
                    log.error(
                        "worker %d has not reported for %g s: it is killed",
                        slot.number,
                        self._settings.hang_timeout,
                    )
                    slot.kill()

    # ---- the end ------------------------------------------------------------------------------

    def _signalled(self, sig: signal.Signals) -> None:
        if not self._ready:
            log.warning("%s: stopping now", sig.name)
            self._stopping.set()
            self._slots.kill()
            return
        loop = asyncio.get_running_loop()
        if self._stopping.is_set():
            log.warning("%s: stopping now", sig.name)
            self._slots.broadcast(end_now=True)
            loop.call_later(LATE, self._slots.kill)
            return
        self._stopping.set()
        wait = self._settings.drain_seconds if sig == signal.SIGTERM else 0.0
        log.info("%s: not ready any more, closing in %g s", sig.name, wait)
        self._slots.close()
        self._slots.broadcast(drain_until=time.monotonic() + wait)
        loop.call_later(wait + self._settings.request_timeout + LATE, self._late)

    def _late(self) -> None:
        log.error("workers that have not ended are killed")
        self._slots.kill()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass
