"""The workers of the service, this one among them, as far as this one knows.

A process that serves alone is a team of one. In a worker, the supervisor tells who else there is,
and `say` tells the supervisor what this one serves.
"""

import asyncio
import os
import time
from collections.abc import Callable

from service.models.manager import Serving
from service.telemetry.metrics.registry import Metrics
from service.workers.channel import Row, Said, Told

AGREE_SECONDS = 30.0  # that an admin waits for the others at most


def _say_nothing(_: Said) -> None:
    """There is nobody to talk to."""


class Team:
    def __init__(
        self,
        serving: Serving,
        metrics: Metrics,
        slot: int = 0,
        say: Callable[[Said], None] = _say_nothing,
    ) -> None:
        self.slot = slot
        self._serving = serving
        self._metrics = metrics
        self._say = say
        self._looked = 0.0
        self._others: list[Row] = []
        self._known_at = 0.0  # time.monotonic(): the others' rows are as of then, or newer
        self._news = asyncio.Event()  # the others' rows are not what they were
        metrics.workers.set(1)
        metrics.worker_restarts.set(0)
        serving.when_swapped.append(self.say)

    @property
    def rows(self) -> list[Row]:
        own = Row(worker=self.slot, pid=os.getpid(), version=self._serving.model.number)
        return sorted([own, *self._others], key=lambda row: row.worker)

    def say(
        self, *, all_look: bool = False, leaving: bool = False, let_go: int | None = None
    ) -> None:
        """What this one serves, and what else there is to say."""
        self._say(
            Said(
                version=self._serving.model.number,
                looked=self._looked,
                all_look=all_look,
                leaving=leaving,
                let_go=let_go,
            )
        )

    def hear(self, told: Told) -> None:
        self._others = [row for row in told.rows if row.worker != self.slot]
        own = [row.looked for row in told.rows if row.worker == self.slot]
        self._known_at = max([self._known_at, *own])
        self._metrics.workers.set(sum(row.version is not None for row in self.rows))
        self._metrics.worker_restarts.set(told.restarts)
        self._metrics.count_native(*told.native)
        self._news.set()

    async def look(self) -> None:
        """Serve what is current now, if it can be served, and say so."""
        began = time.monotonic()
        await self._serving.look()
        self._looked = began
        self.say()

    async def let_go(self, number: int, *, told: bool = False) -> None:
        """Free the version that served before, here and, unless they `told`, in the others."""
        await self._serving.let_go(number, patient=told)
        if not told:
            self.say(let_go=number)

    async def agree(self) -> list[int]:
        """Have the others look at the store after a switch here; returns the workers that do not
        serve the same version.

        Waits for those that look and for those that start, for AGREE_SECONDS at most.
        """
        self._looked = asked = time.monotonic()
        self.say(all_look=True)
        try:
            async with asyncio.timeout(AGREE_SECONDS):
                while self._others and self._known_at < asked:
                    await self._next_news()
                # These look. One that starts later loads what is served now.
                look = {row.pid for row in self._others}
                while any(self._is_awaited(row, look, asked) for row in self._others):
                    await self._next_news()
        except TimeoutError:
            pass
        number = self._serving.model.number
        return [row.worker for row in self._others if row.version != number]

    async def _next_news(self) -> None:
        self._news.clear()
        await self._news.wait()

    def _is_awaited(self, row: Row, look: set[int], asked: float) -> bool:
        """Whether a worker may still serve, or come to serve, another version.

        One that serves the version may be taking up another one, which was current before: until it
        has looked.
        """
        if row.pid in look:
            return row.looked < asked
        return row.version != self._serving.model.number
