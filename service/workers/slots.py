"""Slots for workers: a number, a listening socket, and the process that is in it now.

The socket stays when the process dies, so connections that it had not accepted wait for the worker
that listens next. So do its numbers in the shared memory, except those of gauges, which describe a
process that is gone. Each worker listens to its own slot's socket; while a slot has no worker, all
the others listen to its socket too.
"""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping

from service.telemetry.logs.streams import STREAMS
from service.telemetry.metrics.shared_memory import SharedMemory
from service.workers.channel import Channel, Command, Report, WorkerState

LAST_BREATH = 5.0  # seconds from the end of the channel to the end of the process


class WorkerSlot:
    def __init__(
        self,
        number: int,
        listener: socket.socket,
        memory: SharedMemory,
        environment: Mapping[str, str],
    ) -> None:
        self.number = number
        self.listener = listener
        self.state = WorkerState(worker=number, pid=0)
        self.listens = False  # its own worker does; if not, the others do
        self.leaving = False  # it drains while the others go on
        self.wanted: int | None = None  # version that it was started for; None: the current one
        self.reload_since: float | None = None  # time.monotonic(), when it was sent to reload
        self.silent = 0  # ticks since its last report
        self._memory = memory
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None

    @property
    def has_reloaded(self) -> bool:
        """Whether it has taken up the current version of the store since it was sent to."""
        return self.reload_since is not None and self.state.reloaded >= self.reload_since

    def start(self, version: int | None) -> None:
        """Start a worker that is to serve this version, or the current one."""
        ours, theirs = socket.socketpair()
        memory = self._memory.descriptor
        words = [str(self.number), str(theirs.fileno()), str(memory), str(version or "")]
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "service.worker", *words],
                stdin=subprocess.DEVNULL,
                stdout=STREAMS.stdout if STREAMS.stdout is not None else subprocess.DEVNULL,
                pass_fds=[theirs.fileno(), memory],
                # Ctrl-C in a terminal is for the supervisor, which drains the workers.
                process_group=0,
                env=self._environment,
            )
        self._channel = Channel(ours)
        self.state = WorkerState(worker=self.number, pid=self._process.pid)
        self.wanted, self.reload_since = version, None
        self.leaving = False
        self.silent = 0

    def send(self, command: Command, *listeners: socket.socket) -> None:
        """Kill the worker if it does not read; the end of its channel reports that."""
        if self._channel is None:
            return
        try:
            self._channel.send(command, *listeners)
        except BlockingIOError:
            self.kill()
        except OSError:
            pass  # it is gone already

    async def messages(self) -> AsyncIterator[Report]:
        """Reports of the worker, until it is gone."""
        assert self._channel is not None
        async for report in self._channel.messages(Report):
            self.silent = 0
            yield report

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def end(self) -> str:
        """Wait for the end of a worker whose channel has ended; how it ended, in words."""
        if self._process is None:
            return "not there"
        try:
            code = self._process.wait(LAST_BREATH)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def clear(self) -> None:
        """Forget the process: it is gone."""
        if self._channel is not None:
            self._channel.close()
        self._process = self._channel = None
        self.listens = False
        self.state = WorkerState(worker=self.number, pid=0)
        self._memory.segments[self.number].forget_gauges()


class WorkerPool:
    def __init__(self, slots: list[WorkerSlot]) -> None:
        self.all = slots
        self.restarts = 0  # since the service began

    def broadcast(self, *, but: WorkerSlot | None = None, **more: object) -> None:
        """Who serves what, and `more` of what can be `Command`."""
        for slot in self.all:
            if slot is not but:
                self._send(slot, **more)

    def listens(self, slot: WorkerSlot) -> None:
        """A worker is ready: it takes its socket, and those that nobody listens to."""
        slot.listens = True
        for other in self.all:
            if other is slot or not other.listens:
                self._send(slot, other.listener, listen=[other.number])
            else:
                self._send(other, release=[slot.number])

    def others_listen(self, slot: WorkerSlot) -> None:
        """A worker goes, or is gone: the others take its socket."""
        if slot.listens:
            slot.listens = False
            for other in self.all:
                if other.listens:
                    self._send(other, slot.listener, listen=[slot.number])

    def have_reloaded(self, slot: WorkerSlot) -> None:
        """A worker that does not listen yet takes up the current version of the store, once."""
        if slot.reload_since is None:
            slot.reload_since = time.monotonic()
            self._send(slot, reload=True)

    def close(self) -> None:
        """Leave the sockets to the workers: held here, the kernel would go on filling them."""
        for slot in self.all:
            slot.listener.close()

    def kill(self) -> None:
        for slot in self.all:
            slot.kill()

    def _send(self, slot: WorkerSlot, *listeners: socket.socket, **more: object) -> None:
        states = [each.state for each in self.all if each.state.pid]
        command = Command.model_validate(
            {"workers": states, "restarts": self.restarts, "native": STREAMS.counts, **more}
        )
        slot.send(command, *listeners)
