"""The workers of the service as this worker knows them.

A process that serves alone has no peers. In a worker, the supervisor sends the states of the
others, and `report` sends to the supervisor what this worker serves.
"""

import asyncio
import os
import time
from collections.abc import Callable

from service.models.manager import ModelManager
from service.telemetry.metrics.registry import Metrics
from service.workers.channel import Command, Report, WorkerState

BARRIER_SECONDS = 30.0  # that an admin waits for the others at most


def no_supervisor(_: Report) -> None:
    """There is nobody to talk to."""


class Peers:
    def __init__(
        self,
        serving: ModelManager,
        metrics: Metrics,
        slot: int = 0,
        send: Callable[[Report], None] = no_supervisor,
    ) -> None:
        self.slot = slot
        self._serving = serving
        self._metrics = metrics
        self._send = send
        self._reloaded = 0.0
        self._others: list[WorkerState] = []
        self._known_at = 0.0  # time.monotonic(): the others' rows are as of then, or newer
        self._updated = asyncio.Event()  # the others' rows are not what they were
        metrics.workers.set(1)
        metrics.worker_restarts.set(0)
        serving.when_swapped.append(self.report)

    @property
    def states(self) -> list[WorkerState]:
        own = WorkerState(worker=self.slot, pid=os.getpid(), version=self._serving.model.number)
        return sorted([own, *self._others], key=lambda peer: peer.worker)

    def report(
        self, *, reload_all: bool = False, leaving: bool = False, evict: int | None = None
    ) -> None:
        """Report what this worker serves, with requests to the others."""
        self._send(
            Report(
                version=self._serving.model.number,
                image_bytes=self._serving.model.image_bytes,
                reloaded=self._reloaded,
                reload_all=reload_all,
                leaving=leaving,
                evict=evict,
            )
        )

    def on_update(self, command: Command) -> None:
        self._others = [peer for peer in command.workers if peer.worker != self.slot]
        own = [peer.reloaded for peer in command.workers if peer.worker == self.slot]
        self._known_at = max([self._known_at, *own])
        self._metrics.workers.set(sum(peer.version is not None for peer in self.states))
        self._metrics.worker_restarts.set(command.restarts)
        self._metrics.count_native(*command.native)
        self._updated.set()

    async def reload(self) -> None:
        """Serve what is current now, if it can be served, and report it."""
        began = time.monotonic()
        await self._serving.reload()
        self._reloaded = began
        self.report()

    async def evict(self, number: int, *, from_peer: bool = False) -> None:
        """Unload the previous version, here and, unless a peer sent this, in the others."""
        await self._serving.evict(number, patient=from_peer)
        if not from_peer:
            self.report(evict=number)

    async def barrier(self) -> list[int]:
        """Have the others reload after a switch; returns the workers that do not serve the same
        version.

        Waits for those that reloading and for those that start, for BARRIER_SECONDS at most.
        """
        self._reloaded = since = time.monotonic()
        self.report(reload_all=True)
        try:
            async with asyncio.timeout(BARRIER_SECONDS):
                while self._others and self._known_at < since:
                    await self._next_update()
                # These reloading. One that starts later loads what is served now.
                reloading = {peer.pid for peer in self._others}
                while any(self._is_pending(peer, reloading, since) for peer in self._others):
                    await self._next_update()
        except TimeoutError:
            pass
        number = self._serving.model.number
        return [peer.worker for peer in self._others if peer.version != number]

    async def _next_update(self) -> None:
        self._updated.clear()
        await self._updated.wait()

    def _is_pending(self, peer: WorkerState, reloading: set[int], since: float) -> bool:
        """Whether a worker may still serve, or come to serve, another version.

        One that serves the version may be taking up another one, which was current before: until it
        has reloaded.
        """
        if peer.pid in reloading:
            return peer.reloaded < since
        return peer.version != self._serving.model.number
