"""One complete request and its one response: all that the fast endpoints know of HTTP.

    fast   (in the HTTP protocol)  --+
                                     +--> Endpoint.begin(exchange) ... reply() or fail(), once
    asgi   (on any ASGI server)    --+

An endpoint submits the images of a request to the batcher, which calls it back with the results.
There is no task, future or timer for each request, except for large ones, see `offload`: together
these cost more than the prediction.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite
from time import perf_counter
from typing import Self

from service.batching.interface import DeadlinePassed
from service.errors import Problem
from service.http.errors import ClientDeadlinePassed, problem_of
from service.problem_types.prediction import BAD_TIMEOUT
from service.telemetry.metrics.registry import Metrics
from service.telemetry.request_record import Stage, Timings

TIMEOUT = b"x-request-timeout"
SOONEST = 0.001  # seconds


class Exchange(ABC):
    # Instance attributes in slots: reading a class attribute takes four times as long.
    __slots__ = (
        "began", "beside", "body", "cancel_work", "deadline", "headers", "metrics", "over", "query",
        "timings",
    )  # fmt: skip

    def __init__(
        self,
        metrics: Metrics,
        headers: Mapping[bytes, bytes],
        query: bytes,
        body: bytes,
        began: float,
        deadline: float,
    ) -> None:
        """`headers` have names in lower case, `query` is what follows the ? of the URL; `began` and
        `deadline` are on perf_counter.
        """
        self.metrics = metrics
        self.headers = headers
        self.query = query
        self.body = body
        self.began = began
        self.deadline = deadline
        # Stops the work for this exchange, and returns the stage that it was in; None if it was
        # over.
        self.cancel_work: Callable[[Exchange], Stage | None] | None = None
        self.timings: Timings | None = None  # once a model has predicted
        self.over = False
        self.beside = False  # whether a model other than the one that serves predicts

    def reply(self, status: int, head: bytes, content: bytes) -> None:
        """Respond, unless it is over; `head` is header lines, each with its CRLF."""
        if not self.over:
            # No cycle: the garbage collector would cost 20 us.
            self.over, self.cancel_work = True, None
            self._send(status, head, content)

    @classmethod
    def reply_to_all(
        cls, exchanges: Sequence[Self], timings: Timings, head: bytes, contents: Iterable[bytes]
    ) -> None:
        """`reply` with status 200 to exchanges of one route, none of which is over."""
        for exchange, content in zip(exchanges, contents, strict=True):
            exchange.timings = timings
            exchange.reply(200, head, content)

    def fail(self, error: Exception) -> None:
        """Respond with the problem of an exception, unless it is over."""
        if not self.over:
            self.over, self.cancel_work = True, None
            if isinstance(error, DeadlinePassed) and self.deadline < self.latest:
                error = ClientDeadlinePassed(error.detail)
            if not self.beside and problem_of(error).status >= 500:
                for report in self.metrics.when_failed:
                    report(perf_counter() - self.began)
            self._refuse(error)

    def hang_up(self) -> None:
        """The client is gone: stop the work for it."""
        if not self.over:
            cancel, self.over, self.cancel_work = self.cancel_work, True, None
            stage = cancel(self) if cancel is not None else "decode"
            if stage is not None:
                self.metrics.cancelled.labels(stage).inc()

    @property
    @abstractmethod
    def latest(self) -> float:
        """The service's own deadline; one before it is the client's."""

    @abstractmethod
    def _send(self, status: int, head: bytes, content: bytes) -> None: ...

    @abstractmethod
    def _refuse(self, error: Exception) -> None: ...


Begin = Callable[[Exchange], None]


class Endpoint(ABC):
    """A route that answers exchanges; admit and begin may raise what `errors` maps to problems."""

    route: str
    method: str

    @abstractmethod
    def admit(self, headers: Mapping[bytes, bytes]) -> None:
        """Check the headers, before the body is awaited."""

    @abstractmethod
    def begin(self, exchange: Exchange) -> None:
        """Reply or fail, now or later, on the event loop."""

    def begin_of(self, headers: Mapping[bytes, bytes], query: bytes) -> Begin:
        """What begins requests with these headers and this query: `begin`, or what is faster."""
        return self.begin


def deadline_of(headers: Mapping[bytes, bytes], began: float, longest: float) -> float:
    """The deadline of a request: X-Request-Timeout seconds from `began`, at most `longest`."""
    given = headers.get(TIMEOUT)
    if given is None:
        return began + longest
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not (isfinite(seconds) and seconds >= SOONEST):
        raise Problem(
            BAD_TIMEOUT,
            f"X-Request-Timeout must be a number of seconds from {SOONEST} up, such as 0.5",
        )
    return began + min(seconds, longest)
