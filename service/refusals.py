"""What is told of each request that is refused, once: a line in the log, a count in the metrics."""

import logging

from service.access import Refused
from service.exchange import STAGES
from service.metrics import Metrics
from service.problems import Problem, problem_of
from service.trace import Trace
from service.waiting import DeadlinePassed, DeadlineUnreachable, QueueFull

_SHED: dict[type[Exception], str] = {  # the first that fits
    DeadlineUnreachable: "deadline_unreachable",
    QueueFull: "queue_full",
    DeadlinePassed: "deadline_passed",
}

CROWDED = "connections"  # beyond those there may be

log = logging.getLogger("service")


def begin_at_zero(metrics: Metrics) -> None:
    """An alert sees the first of its kind only as an increase from 0."""
    for reason in (*_SHED.values(), CROWDED):
        metrics.shed.labels(reason)
    for stage in STAGES:
        metrics.cancelled.labels(stage)


def told(
    error: Exception,
    request_id: str,
    client: tuple[str, int] | None,
    metrics: Metrics,
    trace: Trace | None,
) -> Problem:
    """How an exception answers, having told the operator of it if there is need."""
    problem = problem_of(error)
    if trace is not None:
        trace.problem = problem.title
    if isinstance(problem, Refused):
        metrics.access_refused.labels(problem.reason).inc()
        host = client[0] if client else "a socket"
        log.warning("request %s from %s was refused: %s", request_id, host, problem.detail)
    elif problem.status == 500:
        log.error("request %s failed", request_id, exc_info=error)
    else:
        for kind, reason in _SHED.items():
            if isinstance(error, kind):
                metrics.shed.note((reason,))
                break
    _let_go(error)
    return problem


def _let_go(error: BaseException | None) -> None:
    """Keep no body alive: frames hold it, the trace holds frames, and some frame holds the error.

    Such circles wait for the garbage collector, which comes by once in 50,000 objects.
    """
    while error is not None and error.__traceback__ is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
