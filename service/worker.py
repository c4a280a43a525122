"""One of several workers: the service under the commands of a supervisor.

It listens to a socket and drains on command, and drains when the supervisor is gone. Started by
`workers.slots`, never by hand.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Coroutine
from contextlib import suppress
from types import FrameType
from typing import Any

from contract.errors import StoreError
from service.app import build
from service.errors import CannotStart
from service.http.gateway import Gateway
from service.lifecycle import leave
from service.server import Server
from service.settings import Settings
from service.telemetry.logs.setup import start_log
from service.telemetry.logs.streams import STREAMS
from service.telemetry.metrics.processes import Processes
from service.telemetry.metrics.shared_memory import SharedMemory
from service.workers.channel import Channel, Command, Report
from service.workers.peers import Peers

REPORT_EVERY = 1.0  # seconds; the supervisor takes a report as a sign that the event loop runs

log = logging.getLogger("service")


class Worker(Server):
    def __init__(self, app: Gateway, peers: Peers, channel: Channel) -> None:
        super().__init__(app, announce=peers.report)
        self._peers = peers
        self._channel = channel
        self._tasks: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._run(self._follow_commands())
        self._run(self._report_regularly())

    async def _follow_commands(self) -> None:
        async for command in self._channel.messages(Command):
            self._peers.on_update(command)
            for slot in command.listen:
                await self.listen_on(self._channel.sockets.popleft(), slot)
            for slot in command.release:
                self.release(slot)
            if command.reload:
                self._run(self._peers.reload())
            if command.evict is not None:
                self._run(self._peers.evict(command.evict, from_peer=True))
            if command.drain_until is not None:
                self.leaves_sockets_to_others = False  # all workers end
                self.drain(command.drain_until)
            if command.end_now:
                self.end_now()
        if not self.life.draining:
            log.warning("the supervisor is gone: stopping")
        self.leaves_sockets_to_others = False
        self.drain(time.monotonic())

    async def _report_regularly(self) -> None:
        while True:
            await asyncio.sleep(REPORT_EVERY)
            self._peers.report()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Signals are the supervisor's to count: one sent to all at once is not the second one.

        SIGTERM for this worker alone lets it go; another takes its place.
        """
        if sig == signal.SIGTERM and not self.life.draining:
            self.leaves_sockets_to_others = True
            self.drain(time.monotonic() + self.settings.drain_seconds)
            self._peers.report(leaving=True)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # else it may be collected while it runs
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            # A defect: without commands it must not go on.
            log.error("out of touch: stopping", exc_info=task.exception())
            self.drain(time.monotonic())


def main(slot: int, channel: Channel, descriptor: int, version: int | None) -> int:
    def send(report: Report) -> None:
        with suppress(OSError):  # the end of the channel is noticed where it is read
            channel.send(report)

    settings = Settings.from_environment()
    STREAMS.keep_stdout_from_libraries()
    log_handler = start_log(settings, slot)
    os.set_inheritable(descriptor, False)
    log_handler.share_lock(descriptor)
    try:
        app, peers, _ = build(
            settings,
            log_handler,
            lambda reason: send(Report(failed=reason)),
            version=version,
            memory=SharedMemory(descriptor, settings.workers, slot),
            slot=slot,
            send=send,
        )
    except (CannotStart, StoreError) as error:
        send(Report(failed=str(error)))
        return 2
    app.metrics.also(Processes(lambda: {str(each.worker): each.pid for each in peers.states}))
    Worker(app, peers, channel).run(sockets=[])
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _, number, end, memory, wanted = sys.argv
    leave(
        main(
            int(number),
            Channel(socket.socket(fileno=int(end))),
            int(memory),
            int(wanted) if wanted else None,
        )
    )
