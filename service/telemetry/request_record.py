"""A finished request, as the access log and the traces read it.

    PendingPrediction.answered --Timings--> Exchange ...
        FastProtocol, Gateway --RequestEvent--> each Watcher

A fast request's exchange is its own event, so that a request of which no watcher keeps anything
costs no more than that decision. Instants are on time.perf_counter, durations
are seconds.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Protocol, get_args

from service.batching.interface import BatchResult
from service.errors import Problem
from service.telemetry.trace_context import Trace

GONE = "499"  # nginx's code for a client that closed the connection before the response

Peer = tuple[str, int] | None  # address and port; None: of a Unix socket
# Route, method and code, as http_requests_total has them: never a client's own path.
Labels = tuple[str, str, str]


Stage = Literal["body", "decode", "queue", "model"]
STAGES: tuple[Stage, ...] = get_args(Stage)


class Timings(NamedTuple):
    """How long each stage of a request took, in order."""

    decoded: float | None  # seconds it took; None: they came as pixels
    waited: float  # seconds in the queue, until the model call left
    run: BatchResult[Any]  # the model call, shared by all whose images were in it
    pictures: int  # of the request

    @property
    def version(self) -> int:
        """Of the model that answered."""
        number: int = self.run.answers.model.number
        return number


class RequestEvent(Protocol):
    @property
    def request_id(self) -> bytes: ...

    @property
    def began(self) -> float:
        """When its head was complete."""

    @property
    def client(self) -> Peer:
        """The other end of the connection, or the client that a trusted proxy there names."""

    @property
    def scheme(self) -> str:
        """http or https: how the client speaks to the proxy in front, if it is trusted."""

    @property
    def headers(self) -> Mapping[bytes, bytes]:
        """Of the request, names in lower case; they hold secrets."""

    @property
    def timings(self) -> Timings | None:
        """None: no model answered it."""

    @property
    def problem(self) -> Problem | None:
        """That it was answered with."""

    @property
    def trace(self) -> Trace | None:
        """None: it is not traced."""


class RequestRecord(NamedTuple):
    """A `RequestEvent` of a request without an exchange of its own."""

    request_id: bytes
    began: float
    client: Peer
    headers: Mapping[bytes, bytes]
    scheme: str = "http"
    timings: Timings | None = None
    problem: Problem | None = None
    trace: Trace | None = None


# Called with the seconds until the last byte of the response was written.
Watcher = Callable[[RequestEvent, Labels, float], None]
# Whether a watcher would keep nothing of that many requests with these labels that end at that
# time, on perf_counter; it is not called with them then.
Skips = Callable[[Labels, int, float], bool]


def never(labels: Labels, count: int, now: float) -> bool:
    """The `Skips` of a watcher that is called with each request."""
    return False
