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
from service.life import CannotStart, Life
from service.settings import Settings

BACKLOG = 2048  # connections the kernel holds until they are accepted
LAST_WORDS = 0.2  # seconds for the request of a connection that was made as the port closed

log = logging.getLogger("service")


class PortTaken(CannotStart):
    """The address cannot be listened on; the message says which setting to change."""


class Server(uvicorn.Server):
    def __init__(
        self, app: Front, settings: Settings, life: Life, announce: Callable[[str], None]
    ) -> None:
        config = uvicorn.Config(
            app,
            http=HotProtocol,
            log_config=None,
            access_log=settings.access_log,
            server_header=False,
            backlog=BACKLOG,
            # An accepted request ends by its own deadline; this only bounds a client that stalls.
            timeout_graceful_shutdown=math.ceil(settings.request_timeout) + 1,
        )
        super().__init__(config)
        self._front = app
        self._settings = settings
        self._life = life
        self._announce = announce
        self._stop_at = math.inf

    def serve_until_stopped(self) -> None:
        """Run until a signal ends it; PortTaken if the port cannot be opened."""
        listener = _listen(self._settings.host, self._settings.port)
        self._listener = listener.dup()  # the event loop closes its own
        host, port = listener.getsockname()[:2]
        self._url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self.run(sockets=[listener])
        log.info("stopped")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            # What was made until now stays: no need to look through it for garbage ever again.
            gc.collect()
            gc.freeze()
            self._announce(self._url)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if not self.force_exit:
            for server in self.servers:
                server.close()
            await self._take_up_the_rest()
            await asyncio.sleep(LAST_WORDS)
        await super().shutdown(sockets)

    async def _take_up_the_rest(self) -> None:
        """Serve the connections that wait in the kernel: closing the port would reset them."""
        loop = asyncio.get_running_loop()
        with self._listener, contextlib.suppress(BlockingIOError):
            self._listener.setblocking(False)
            while True:
                connection, _ = self._listener.accept()
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
        if self._life.draining:
            log.warning("second signal: stopping now")
            self.should_exit = self.force_exit = True
            return
        self._life.draining = True
        self._front.hot.clear()  # from now on each answer says that the connection ends
        wait = self._settings.drain_seconds if sig == signal.SIGTERM else 0.0
        log.info("%s: not ready any more, closing in %g s", signal.Signals(sig).name, wait)
        self._stop_at = time.monotonic() + wait

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or time.monotonic() >= self._stop_at


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, UnicodeError) as error:  # UnicodeError: not even the form of a host name
        reason = getattr(error, "strerror", None) or error
        raise PortTaken(
            f"cannot listen on {host} port {port}: {reason}; "
            "choose others with DIGITSERVE_HOST and DIGITSERVE_PORT"
        ) from error
    listener.listen(BACKLOG)
    return listener
