"""A request that is over, as whoever watches is told of it: the access log, the traces.

    Asked.answered --Course--> Exchange ... HotProtocol.ended, Front --Ended--> each watcher

Nothing of this is made while nobody watches, but for the Course: 0.1 us of a request. Times are
seconds, instants are on time.perf_counter.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from service.problems import Problem
from service.trace import Trace
from service.waiting import Run


class Course(NamedTuple):
    """What the pictures of a request went through, one after the other."""

    decoded: float | None  # seconds it took; None: they came as pixels
    waited: float  # seconds in the queue, until the model call left
    run: Run[Any]  # the model call, shared by all whose pictures were in it
    pictures: int  # of the request


class Ended(NamedTuple):
    request_id: str
    method: str
    route: str  # as the metrics label it: never a client's own path
    status: str  # "200"; "499" if nobody was there to be answered
    began: float  # when its head was complete
    seconds: float  # until the last byte of its answer was written
    client: tuple[str, int] | None
    headers: Mapping[bytes, bytes]  # of the request, names in lower case; they hold secrets
    course: Course | None  # None: no model answered it
    problem: Problem | None  # that it was answered with
    trace: Trace | None

    @property
    def trace_id(self) -> str | None:
        """As collectors show it; None: it is not traced."""
        return self.trace.name if self.trace is not None else None


Watcher = Callable[[Ended], None]
