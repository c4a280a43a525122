"""A place for a worker: its number, its listening socket, and the process that is in it now.

The socket stays when the process dies, so connections that it had not accepted wait for whoever
listens next. So do its numbers in the shared memory (see `metrics`), except those of gauges: what a
dead process was doing is nothing.

All slots of a service: what their workers are told, and who listens to which socket.

Each worker listens to its own slot's socket. To one whose worker is not there, all others listen.
"""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping

from service.telemetry.logs.streams import STREAMS
from service.telemetry.metrics.shared_memory import SharedMemory
from service.workers.channel import Channel, Row, Said, Told

LAST_BREATH = 5.0  # seconds from the end of the channel to the end of the process


class Slot:
    def __init__(
        self,
        number: int,
        listener: socket.socket,
        memory: SharedMemory,
        environment: Mapping[str, str],
    ) -> None:
        self.number = number
        self.listener = listener
        self.row = Row(worker=number, pid=0)
        self.listens = False  # its own worker does; if not, the others do
        self.leaving = False  # it drains while the others go on
        self.asked: int | None = None  # version that it was started for; None: the current one
        self.looks_since: float | None = None  # time.monotonic(), when it was told to look
        self.silent = 0  # ticks since it was heard of
        self._memory = memory
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None

    @property
    def has_looked(self) -> bool:
        """At what the store says is current, since it was told to."""
        return self.looks_since is not None and self.row.looked >= self.looks_since

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
                # Ctrl-C in a terminal is for the supervisor, who tells the workers.
                process_group=0,
                env=self._environment,
            )
        self._channel = Channel(ours)
        self.row = Row(worker=self.number, pid=self._process.pid)
        self.asked, self.looks_since = version, None
        self.leaving = False
        self.silent = 0

    def tell(self, told: Told, *listeners: socket.socket) -> None:
        """A worker that does not read what it is told is ended, which is how it will be heard."""
        if self._channel is None:
            return
        try:
            self._channel.send(told, *listeners)
        except BlockingIOError:
            self.kill()
        except OSError:
            pass  # it is gone already

    async def messages(self) -> AsyncIterator[Said]:
        """What the worker says, until it is gone."""
        assert self._channel is not None
        async for said in self._channel.messages(Said):
            self.silent = 0
            yield said

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
        """Nobody is here any more."""
        if self._channel is not None:
            self._channel.close()
        self._process = self._channel = None
        self.listens = False
        self.row = Row(worker=self.number, pid=0)
        self._memory.segments[self.number].forget_gauges()


class Slots:
    def __init__(self, slots: list[Slot]) -> None:
        self.all = slots
        self.restarts = 0  # since the service began

    def tell_all(self, *, but: Slot | None = None, **more: object) -> None:
        """Who serves what, and `more` of what can be `Told`."""
        for slot in self.all:
            if slot is not but:
                self._tell(slot, **more)

    def listens(self, slot: Slot) -> None:
        """A worker is ready: it takes its socket, and those that nobody listens to."""
        slot.listens = True
        for other in self.all:
            if other is slot or not other.listens:
                self._tell(slot, other.listener, listen=[other.number])
            else:
                self._tell(other, release=[slot.number])

    def others_listen(self, slot: Slot) -> None:
        """A worker goes, or is gone: the others take its socket."""
        if slot.listens:
            slot.listens = False
            for other in self.all:
                if other.listens:
                    self._tell(other, slot.listener, listen=[slot.number])

    def have_look(self, slot: Slot) -> None:
        """A worker that does not listen yet looks at what the store says is current, once."""
        if slot.looks_since is None:
            slot.looks_since = time.monotonic()
            self._tell(slot, look=True)

    def close(self) -> None:
        """Leave the sockets to the workers: held here, the kernel would go on filling them."""
        for slot in self.all:
            slot.listener.close()

    def kill(self) -> None:
        for slot in self.all:
            slot.kill()

    def _tell(self, slot: Slot, *listeners: socket.socket, **more: object) -> None:
        rows = [each.row for each in self.all if each.row.pid]
        told = Told.model_validate(
            {"rows": rows, "restarts": self.restarts, "native": STREAMS.counts, **more}
        )
        slot.tell(told, *listeners)
