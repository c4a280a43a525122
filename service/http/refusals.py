"""Records each refused request exactly once: in a metric, and an internal error in its details,
which the access log writes.
"""

from collections.abc import Iterable

from service.batching.interface import (
    BufferFull,
    ClientDeadlinePassed,
    DeadlinePassed,
    DeadlineUnreachable,
    PreparationFull,
    QueueFull,
)
from service.errors import Problem
from service.http.auth import AccessDenied
from service.http.errors import problem_of
from service.telemetry.logs.format import failure_of
from service.telemetry.metrics.registry import Metrics
from service.telemetry.request_record import STAGES

_SHED: dict[type[Exception], str] = {  # the first that fits
    DeadlineUnreachable: "deadline_unreachable",
    BufferFull: "buffer_full",
    PreparationFull: "preparation_full",
    QueueFull: "queue_full",
    DeadlinePassed: "deadline_passed",
    MemoryError: "out_of_memory",
}

OVER_CAPACITY = "connections"  # beyond those there may be


def begin_at_zero(metrics: Metrics, routes: Iterable[str]) -> None:
    """Start the series at 0: an alert sees the first refusal only as an increase.

    `routes` are those where a client may set a deadline.
    """
    for route in routes:
        metrics.client_deadlines.labels(route)
    for reason in (*_SHED.values(), OVER_CAPACITY):
        metrics.shed.labels(reason)
    for stage in STAGES:
        metrics.cancelled.labels(stage)


def record_refusal(error: Exception, metrics: Metrics, route: str = "other") -> Problem:
    """The problem of an exception, counted, and with the details for the log.

    A deadline that the client has set does not count as shed load: the service would have waited.
    """
    problem = problem_of(error)
    if isinstance(error, ClientDeadlinePassed):
        problem.is_clients_deadline = True
        metrics.client_deadlines.record((route,))
    elif isinstance(problem, AccessDenied):
        metrics.access_refused.labels(problem.reason).inc()
    elif problem.status == 500:
        problem.failure = failure_of(error)
    else:
        for kind, reason in _SHED.items():
            if isinstance(error, kind):
                metrics.shed.record((reason,))
                break
    _drop_tracebacks(error)
    return problem


def _drop_tracebacks(error: BaseException | None) -> None:
    """Keep no body alive: the traceback refers to frames that hold it, and one holds the error.

    Such cycles wait for the garbage collector, which runs once in 50,000 objects.
    """
    while error is not None and error.__traceback__ is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
