"""uvicorn's protocol with one timer an idle connection, where it makes one after each answer."""

import asyncio
from math import inf
from time import perf_counter
from typing import Any

from service.protocol import Protocol


class KeepAlive(Protocol):
    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        self._idle_since = inf  # on perf_counter; inf: it is not idle
        self._idle_timer: asyncio.TimerHandle | None = None

    def is_idle(self, now: float) -> bool:
        """What `on_response_complete` comes to on a connection that has been idle before."""
        if self._idle_timer is None:
            return False
        self._idle_since = now
        self.server_state.total_requests += 1
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = perf_counter()
        if self._idle_timer is None:
            self._look_again_in(self.timeout_keep_alive)

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = inf

    def _look_again_in(self, seconds: float) -> None:
        self._idle_timer = self.loop.call_later(seconds, self._close_if_idle)

    def _close_if_idle(self) -> None:
        self._idle_timer = None
        left = self._idle_since + self.timeout_keep_alive - perf_counter()
        if left <= 0.001:  # uvloop's timers ring up to a millisecond early
            self.timeout_keep_alive_handler()
        elif left < inf:
            self._look_again_in(left)
