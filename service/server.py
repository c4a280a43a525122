"""The life of the service: open the port, serve, drain, stop.

    SIGTERM  /readyz turns 503, serving goes on for DRAIN_SECONDS so that load balancers look
             elsewhere; then the port closes, what was accepted is answered, the exit code is 0
    SIGINT   (Ctrl-C) the same without the wait
    again    open requests are answered 503, and the process ends within a second

"Accepted" begins where a client notices it: a connection that the kernel has completed is served,
also if the service had not taken it up when the port closed. However many clients go on connecting,
the process ends within DRAIN_SECONDS + REQUEST_TIMEOUT + 1 s: a thread of its own ends it if
anything hangs.
"""

import asyncio
import contextlib
import gc
import logging
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from service.http.fast.protocol import FastProtocol
from service.http.gateway import Gateway
from service.telemetry.logs.setup import log_errors_of_loop
from service.workers.sockets import BACKLOG, refuse_connections

# Objects made, less objects gone, between two looks for garbage. A batch makes a thousand, and
# hardly ever a cycle: to look after 700, as Python does of itself, takes 3 us of a request's 55.
NEW_OBJECTS = 50_000
LAST_WORDS = 0.2  # seconds for the request of a connection that was made as the port closed
AT_ONCE = 64  # connections that are accepted in a turn of the event loop
HANDSHAKE = 0.05  # seconds in which a handshake that has begun may complete
# Seconds from the last request's deadline until tasks are cancelled, and from the same instant or a
# second signal until the process is ended, whatever still runs.
CANCELLED_AFTER, ENDED_AFTER = 0.6, 0.8

log = logging.getLogger("service")


class Server(uvicorn.Server):
    def __init__(self, app: Gateway, announce: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            http=FastProtocol,  # made by `_protocol` alone
            ws="none",
            proxy_headers=False,  # `forwarded` reads them, on both paths
            log_config=None,
            access_log=False,  # uvicorn's would have paths in it
            server_header=False,
            backlog=BACKLOG,
        )
        super().__init__(config)
        self._gateway = app
        self.settings = app.settings
        self.life = app.life
        self._announce = announce
        self._stop_at = math.inf
        self._closed = False
        # Whether other processes go on to accept connections at these sockets.
        self.leaves_sockets_to_others = False
        self._ends_at = math.inf  # time.monotonic()
        self._ends = threading.Event()  # whether that is set
        self._accepting: set[int] = set()  # slots whose `_accept_more` is due
        self._connecting: set[asyncio.Task[Any]] = set()
        self._listening: dict[int, tuple[socket.socket, asyncio.AbstractServer]] = {}

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        log_errors_of_loop()
        threading.Thread(target=self._end_in_time, name="end", daemon=True).start()
        await super().startup([])
        for slot, listener in enumerate(sockets or []):
            await self.listen_on(listener, slot)
        # What was made until now stays: no need to look through it for garbage ever again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(NEW_OBJECTS)
        self._announce()

    async def listen_on(self, listener: socket.socket, slot: int) -> None:
        """Accept connections from one more socket."""
        if self._closed:
            listener.close()
            return
        loop = asyncio.get_running_loop()
        # The event loop closes its own; this one is for what waits when the port closes.
        own = listener.dup()
        create = loop.create_unix_server if own.family == socket.AF_UNIX else loop.create_server

        def accepted() -> asyncio.Protocol:
            if slot not in self._accepting:
                self._accepting.add(slot)
                loop.call_soon(self._accept_more, slot)
            return self._protocol()

        listener.setblocking(False)
        server = await create(accepted, sock=own, backlog=BACKLOG)
        self._listening[slot] = listener, server

    def _accept_more(self, slot: int) -> None:
        """Accept what waits behind a connection that was accepted in this turn of the event loop.

        uvloop accepts one a turn. While many clients are busy a turn takes tens of milliseconds,
        and of 300 that connect at once the last one would wait for seconds.
        """
        self._accepting.discard(slot)
        if slot not in self._listening or self._closed:
            return
        loop = asyncio.get_running_loop()
        listener, _ = self._listening[slot]
        with contextlib.suppress(OSError):  # none waits; where descriptors run out, uvloop logs it
            for _ in range(AT_ONCE):
                connection, _ = listener.accept()
                task = loop.create_task(loop.connect_accepted_socket(self._protocol, connection))
                self._connecting.add(task)  # else it may be collected while it runs
                task.add_done_callback(self._connecting.discard)

    def release(self, slot: int) -> None:
        """Leave a socket, and what waits in it, to others."""
        listener, server = self._listening.pop(slot)
        server.close()
        listener.close()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._closed = True
        if not self.force_exit:
            listeners = [listener for listener, _ in self._listening.values()]
            if not self.leaves_sockets_to_others:
                for listener in listeners:
                    refuse_connections(listener)
            for _, server in self._listening.values():
                server.close()
            for listener in listeners:
                await self._accept_waiting(listener)
            await asyncio.sleep(HANDSHAKE)
            for listener in listeners:
                with listener:
                    await self._accept_waiting(listener)
            await asyncio.sleep(LAST_WORDS)
        left = self._stop_at + self.settings.request_timeout + CANCELLED_AFTER - time.monotonic()
        # An accepted request ends by its own deadline; this only bounds a client that stalls.
        limit: Any = max(0.0, left)
        self.config.timeout_graceful_shutdown = limit
        await super().shutdown()
        if self.force_exit:  # uvicorn leaves it out, and the application's task would log an error
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS):
                    await self.lifespan.shutdown()

    async def _accept_waiting(self, listener: socket.socket) -> None:
        """Serve the connections that wait in the kernel: closing the port would reset them."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(BlockingIOError):
            for _ in range(BACKLOG + 1):  # as many as can wait, where others may still come
                connection, _ = listener.accept()
                await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        return FastProtocol(self._gateway, self.server_state)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # uvicorn would raise the signal again after a clean stop, and the exit code would not be 0.
        if self.life.draining:
            log.warning("second signal: stopping now")
            self.end_now()
            return
        wait = self.settings.drain_seconds if sig == signal.SIGTERM else 0.0
        log.info("%s: not ready any more, closing in %g s", signal.Signals(sig).name, wait)
        self.drain(time.monotonic() + wait)

    def drain(self, until: float) -> None:
        """Be not ready any more, and close the port then (time.monotonic)."""
        self._gateway.leave_fast_path()  # from now on each response ends its connection
        self.life.drain()
        self._stop_at = min(self._stop_at, until)
        left = max(0.0, self._stop_at - time.monotonic())
        self._end_in(left + self.settings.request_timeout + ENDED_AFTER)

    def end_now(self) -> None:
        """Answer 503 to open requests, and end within a second. Called by a signal's handler."""
        self.should_exit = self.force_exit = True
        self._end_in(ENDED_AFTER)
        asyncio.get_running_loop().call_soon_threadsafe(self._refuse_open_requests)

    def _refuse_open_requests(self) -> None:
        connections: Any = list(self.server_state.connections)
        for connection in connections:
            connection.refuse_open_request()
        # In a later turn: a task that is cancelled before its first step answers nothing, and
        # `shutdown` may have made some in this turn.
        asyncio.get_running_loop().call_soon(self._cancel_tasks)

    def _cancel_tasks(self) -> None:
        for task in self.server_state.tasks:  # `gateway` answers these
            task.cancel()

    def _end_in(self, seconds: float) -> None:
        """End the process then if it has not ended by itself."""
        self._ends_at = time.monotonic() + seconds
        self._ends.set()

    def _end_in_time(self) -> None:
        """In a thread of its own, for any other may hang."""
        self._ends.wait()
        while time.monotonic() < self._ends_at:
            time.sleep(0.05)
        if not self.force_exit:
            log.error("ended although work goes on: a thread hangs, or a client stalls")
            time.sleep(0.05)  # in which the log is written
        os._exit(0 if self.force_exit else 1)

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or time.monotonic() >= self._stop_at
