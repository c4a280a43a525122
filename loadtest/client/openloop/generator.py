"""One process that sends each request when it is due, and reads the answers: a loop around epoll.

    due --> a free connection | a new one, up to a bound | a queue, first in, first out
    answer --> the connection is free, or takes the first of the queue

Only the loop waits, for the next answer or the next time, whichever comes first. In Python without
a framework a request takes 25 to 40 us of its core. A request that loses its connection has failed;
a new connection is made when one is needed. One that the server closes while it carries nothing is
no failure: servers do that to idle connections.
"""

import gc
import resource
import select
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from loadtest.client.openloop.connection import (
    FREE,
    HUNG_UP,
    RECEIVED,
    Connection,
    NotHttp,
    closes,
    size_of,
    status_of,
)
from loadtest.client.openloop.result import OK, Outcomes, Recorder, Times
from loadtest.client.requests import ExpectedRequest
from loadtest.client.result import Address
from loadtest.errors import CannotMeasure

SLACK = Path("/proc/self/timerslack_ns")  # how late the kernel may wake this process; usually 50 us
OTHER_FILES = 64  # descriptors of a process beside its connections
CONNECTIONS = 1024  # at most
PATIENCE = 2.0  # seconds for outstanding answers, after the last request was due
BURST = 16  # requests sent in a row, before answers are read again


def generate(
    address: Address,
    requests: Sequence[ExpectedRequest],
    intended: Times,
    *,
    connections: int = CONNECTIONS,
    ready: int = 0,
    patience: float = PATIENCE,
    begin: Callable[[], object] = lambda: None,
) -> Outcomes:
    """Send the requests in turn, each at its time, and wait for the outstanding answers.

    `ready`: connections that are made and have carried a request before the time begins.
    `begin` is called in between.
    """
    generator = _Generator(address, requests, len(intended), connections)
    try:
        generator.make_ready(min(ready, connections), patience)
        begin()
        with real_time():
            cpu, began = time.process_time(), time.perf_counter()
            generator.send_all((intended + began).tolist())
            cpu = (time.process_time() - cpu) / (time.perf_counter() - began)
            generator.receive_rest(patience)
        return generator.recorder.outcomes(intended, began=began, cpu=cpu)
    finally:
        generator.close()


class _Generator:
    def __init__(
        self, address: Address, requests: Sequence[ExpectedRequest], count: int, connections: int
    ) -> None:
        self._address, self._requests, self._most = address, requests, connections
        # select.select knows descriptors below 1024 only: this one comes before the connections.
        self._epoll = select.epoll()
        self._connections: dict[int, Connection] = {}  # by descriptor
        self._free: deque[Connection] = deque()  # in turn: the server closes those that idle
        self._queue: deque[int] = deque()  # requests that are due and have no connection
        self._outstanding = count  # requests that have not ended
        self.recorder = Recorder(count)

    def make_ready(self, connections: int, patience: float) -> None:
        """Make connections one after another; after a failure the rest is made under the load."""
        with suppress(OSError, NotHttp):
            for _ in range(connections):
                request = self._requests[0].data
                self._free.append(self._add(Connection.answered(self._address, request, patience)))

    def send_all(self, due: list[float]) -> None:
        number, count = 0, len(due)
        while number < count:
            wait = due[number] - time.perf_counter()
            # epoll.poll would round the wait up to whole milliseconds.
            if wait <= 0 or select.select([self._epoll], [], [], wait)[0]:
                self._receive_ready()
            now = time.perf_counter()
            # A generator that is late still receives, or its lateness would be the server's.
            last = min(number + BURST, count)
            while number < last and due[number] <= now:
                self._begin(number)
                number += 1

    def receive_rest(self, patience: float) -> None:
        end = time.perf_counter() + patience
        while self._outstanding and (wait := end - time.perf_counter()) > 0:
            select.select([self._epoll], [], [], wait)
            self._receive_ready()

    def close(self) -> None:
        for connection in self._connections.values():
            connection.socket.close()
        self._epoll.close()

    def _begin(self, number: int) -> None:
        self.recorder.taken[number] = time.perf_counter()
        if self._free:
            self._send(self._free.popleft(), number)
        elif len(self._connections) < self._most:
            self._send(self._add(Connection(self._address)), number)
        else:
            self._queue.append(number)

    def _add(self, connection: Connection) -> Connection:
        self._connections[connection.descriptor] = connection
        self._epoll.register(connection.descriptor, select.EPOLLIN)
        return connection

    def _send(self, connection: Connection, number: int) -> None:
        connection.number = number
        if connection.send(self._requests[number % len(self._requests)].data):
            self.recorder.sent[number] = time.perf_counter()
        elif connection.unsent:
            self._epoll.modify(connection.descriptor, select.EPOLLIN | select.EPOLLOUT)

    def _send_rest(self, connection: Connection) -> None:
        if connection.send(connection.unsent):
            self.recorder.sent[connection.number] = time.perf_counter()
            self._epoll.modify(connection.descriptor, select.EPOLLIN)

    def _receive_ready(self) -> None:
        for descriptor, event in self._epoll.poll(0):
            connection = self._connections[descriptor]
            if event & select.EPOLLOUT and connection.unsent:
                self._send_rest(connection)
            if event & ~select.EPOLLOUT:
                self._receive(connection)

    def _receive(self, connection: Connection) -> None:
        try:
            more = connection.socket.recv(RECEIVED)
            now = time.perf_counter()
            data = connection.received + more
            size = size_of(data)
            if more and (not size or len(data) < size):
                connection.received = data
            elif more and connection.number != FREE:
                self._end(connection, now, status_of(data), data)
            else:
                self._lose(connection, HUNG_UP)
        except BlockingIOError:
            return
        except (OSError, NotHttp) as error:
            self._lose(connection, str(error))

    def _end(self, connection: Connection, now: float, status: int, data: bytes) -> None:
        number, recorder = connection.number, self.recorder
        recorder.ended[number] = now
        recorder.status[number] = status
        expected = self._requests[number % len(self._requests)].expected
        recorder.right[number] = status == OK and expected in data
        self._outstanding -= 1
        connection.received = b""
        connection.number = FREE
        if closes(data):
            self._drop(connection)
        elif self._queue:
            self._send(connection, self._queue.popleft())
        else:
            self._free.append(connection)

    def _lose(self, connection: Connection, why: str) -> None:
        """Close a broken connection; the request that it carried, if any, has failed."""
        if connection.number == FREE:
            self._free.remove(connection)
        else:
            self.recorder.broken[why] += 1
            self._outstanding -= 1
        self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        """Close a connection; the first request of the queue gets a new one."""
        del self._connections[connection.descriptor]
        self._epoll.unregister(connection.descriptor)
        connection.socket.close()
        if self._queue:
            self._send(self._add(Connection(self._address)), self._queue.popleft())


@contextmanager
def real_time() -> Iterator[None]:
    """Without garbage collection, and with timers that are precise to the microsecond."""
    before = ""
    with suppress(OSError):
        before = SLACK.read_text()
        SLACK.write_text("1000")
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        with suppress(OSError):
            SLACK.write_text(before)


def allow_connections(count: int) -> None:
    """For this process and those that it starts; CannotMeasure if the machine does not allow it."""
    needed = count + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise CannotMeasure(
            f"{count} connections need {needed} open files, and this process may have {hard}: "
            "fewer --connections, or a higher `ulimit -n`"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
