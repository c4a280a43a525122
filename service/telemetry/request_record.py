"""A request that is over, as whoever watches is told of it: the access log, the traces.

    PendingPrediction.answered --Course--> Exchange ...
        FastProtocol, Gateway --Ended--> each Watcher

A fast request's exchange is what is told itself, so that most requests, of which nobody keeps
anything, cost no more than that somebody decides so. Instants are on time.perf_counter, durations
are seconds.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Protocol, get_args

from service.batching.interface import BatchResult
from service.errors import Problem
from service.telemetry.tracing.records import Trace

GONE = "499"  # as nginx says it: nobody was there to be answered

Peer = tuple[str, int] | None  # address and port; None: of a Unix socket
# Route, method and code, as http_requests_total has them: never a client's own path.
Labels = tuple[str, str, str]


Stage = Literal["body", "decode", "queue", "model"]
STAGES: tuple[Stage, ...] = get_args(Stage)


class Course(NamedTuple):
    """What the pictures of a request went through, one after the other."""

    decoded: float | None  # seconds it took; None: they came as pixels
    waited: float  # seconds in the queue, until the model call left
    run: BatchResult[Any]  # the model call, shared by all whose pictures were in it
    pictures: int  # of the request

    @property
    def version(self) -> int:
        """Of the model that answered."""
        number: int = self.run.answers.model.number
        return number


class Ended(Protocol):
    @property
    def request_id(self) -> bytes: ...

    @property
    def began(self) -> float:
        """When its head was complete."""

    @property
    def client(self) -> Peer:
        """The other end of the connection, or what a trusted proxy there says it is."""

    @property
    def scheme(self) -> str:
        """http or https: how the client speaks to the proxy in front, if it is trusted."""

    @property
    def headers(self) -> Mapping[bytes, bytes]:
        """Of the request, names in lower case; they hold secrets."""

    @property
    def course(self) -> Course | None:
        """None: no model answered it."""

    @property
    def problem(self) -> Problem | None:
        """That it was answered with."""

    @property
    def trace(self) -> Trace | None:
        """None: it is not traced."""


class Record(NamedTuple):
    """An `Ended` of a request that had no exchange, or another one."""

    request_id: bytes
    began: float
    client: Peer
    headers: Mapping[bytes, bytes]
    scheme: str = "http"
    course: Course | None = None
    problem: Problem | None = None
    trace: Trace | None = None


# With the seconds until the last byte of the answer was written.
Watcher = Callable[[Ended, Labels, float], None]
