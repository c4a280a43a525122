"""The life of the service: open the port, serve, drain, stop.

    SIGTERM  /readyz turns 503, serving goes on for DRAIN_SECONDS so that load balancers look
             elsewhere; then the port closes, what was accepted is answered, the exit code is 0
    SIGINT   (Ctrl-C) the same without the wait
    again    ends it now

"Accepted" begins where a client can tell: a connection that the kernel has completed is served,
also if the service had not taken it up when the port closed.
"""

import asyncio
import contextlib
import gc
import logging
import math
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from service.front import Front
from service.hot import HotProtocol
from service.life import Life
from service.listeners import BACKLOG
from service.log import log_errors_of_loop
from service.settings import Settings

# Objects made, less objects gone, between two looks for garbage. A batch makes a thousand, and
# hardly ever a cycle: to look after 700, as Python does of itself, takes 3 us of a request's 55.
NEW_OBJECTS = 50_000
LAST_WORDS = 0.2  # seconds for the request of a connection that was made as the port closed

log = logging.getLogger("service")


class Server(uvicorn.Server):
    def __init__(
        self, app: Front, settings: Settings, life: Life, announce: Callable[[], None]
    ) -> None:
        config = uvicorn.Config(
            app,
            http=HotProtocol,
            ws="none",
            proxy_headers=False,  # `forwarded` reads them, on both paths
            log_config=None,
            access_log=False,  # uvicorn's: it would tell paths
            server_header=False,
            backlog=BACKLOG,
            # An accepted request ends by its own deadline; this only bounds a client that stalls.
            timeout_graceful_shutdown=math.ceil(settings.request_timeout) + 1,
        )
        super().__init__(config)
        self._front = app
        self.settings = settings
        self.life = life
        self._announce = announce
        self._stop_at = math.inf
        self._closed = False
        self._listening: dict[int, tuple[socket.socket, asyncio.AbstractServer]] = {}

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        log_errors_of_loop()
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
        server = await create(self._protocol, sock=own, backlog=BACKLOG)
        self._listening[slot] = listener, server

    def release(self, slot: int) -> None:
        """Leave a socket, and what waits in it, to others."""
        listener, server = self._listening.pop(slot)
        server.close()
        listener.close()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._closed = True
        if not self.force_exit:
            for _, server in self._listening.values():
                server.close()
            for listener, _ in self._listening.values():
                await self._take_up_the_rest(listener)
            await asyncio.sleep(LAST_WORDS)
        await super().shutdown()

    async def _take_up_the_rest(self, listener: socket.socket) -> None:
        """Serve the connections that wait in the kernel: closing the port would reset them."""
        loop = asyncio.get_running_loop()
        with listener, contextlib.suppress(BlockingIOError):
            listener.setblocking(False)
            for _ in range(BACKLOG + 1):  # as many as can wait, where others may still come
                connection, _ = listener.accept()
                await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        """What uvicorn makes for each connection."""
        kind: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = kind(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # uvicorn would raise the signal again after a clean stop, and the exit code would not be 0.
        if self.life.draining:
            log.warning("second signal: stopping now")
            self.should_exit = self.force_exit = True
            return
        wait = self.settings.drain_seconds if sig == signal.SIGTERM else 0.0
        log.info("%s: not ready any more, closing in %g s", signal.Signals(sig).name, wait)
        self.drain(time.monotonic() + wait)

    def drain(self, until: float) -> None:
        """Be not ready any more, and close the port then."""
        self._front.hot.clear()  # from now on each answer says that the connection ends
        self.life.drain()
        self._stop_at = min(self._stop_at, until)

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or time.monotonic() >= self._stop_at
