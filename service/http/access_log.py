"""The access log: a line for each request that is over, or for as many as can be read.

                 < 400, 499, own 504    other 4xx, 503      500, other 504
    off          none                   none                each
    sampled      10 a second at most,   10 a second,        each
                 none for probes        probes too
    all          each                   each                each

An own 504 is one at a deadline that the client has set. A line says how many were left out since
the last of its column. Lines contain the route, but never a path, query, header or body, which may
hold secrets.
"""

import logging
from collections.abc import Callable
from time import time
from typing import Literal, NamedTuple

from service.errors import Problem
from service.http.errors import ClientDeadlinePassed
from service.http.gateway import Gateway
from service.settings import Settings
from service.telemetry.logs.format import Fields, timestamp
from service.telemetry.logs.handler import AsyncLogHandler
from service.telemetry.logs.rate_limit import RateLimiter
from service.telemetry.request_record import GONE, Labels, RequestEvent, Timings

LINES_A_SECOND = 10  # lines of `sampled`, of what succeeds and of what is refused
# Requested by machines every few seconds.
PROBES = {
    "/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready",
    "/v2/models/{model}/ready", "/v2/models/{model}/versions/{version}/ready",
}  # fmt: skip
# Those whose detail is a sentence of the service: others may quote the client.
SAFE_DETAILS = {401, 403, 500, 503, 504}

log = logging.getLogger("access")


class Kind(NamedTuple):
    """What the lines of requests with the same labels have in common."""

    route: str
    method: str
    status: int
    level: str
    limiter: RateLimiter | None  # None: each has a line


class AccessLog:
    def __init__(
        self, mode: Literal["off", "sampled", "all"], write: Callable[[Fields], None]
    ) -> None:
        self._mode = mode
        self._write = write
        self._answers, self._refusals = RateLimiter(LINES_A_SECOND), RateLimiter(LINES_A_SECOND)
        self._kinds: dict[Labels, Kind | None] = {}  # None: they have no line

    def record(self, ended: RequestEvent, labels: Labels, seconds: float) -> None:
        """Write the line of a request, if it gets one. A watcher of the gateway."""
        kind = self._kind(labels)
        if kind is not None and isinstance(ended.problem, ClientDeadlinePassed):
            kind = self._kind_of(*labels, level=logging.INFO)
        if kind is None:
            return
        now = ended.began + seconds
        left_out = 0 if kind.limiter is None else kind.limiter.try_acquire(now)
        if left_out is not None:
            self._write(_fields_of(ended, kind, seconds, left_out))

    def skips(self, labels: Labels, count: int, now: float) -> bool:
        """Whether none of `count` requests without a problem would get a line."""
        kind = self._kind(labels)
        return kind is None or (kind.limiter is not None and kind.limiter.refuses(count, now))

    def _kind(self, labels: Labels) -> Kind | None:
        try:
            return self._kinds[labels]
        except KeyError:
            kind = self._kinds[labels] = self._kind_of(*labels)
            return kind

    def _kind_of(
        self, route: str, method: str, status: str, level: int | None = None
    ) -> Kind | None:
        code = int(status)
        if level is None:
            level = _level_of(code)
        limiter = self._refusals if level == logging.WARNING else self._answers
        failed, well = level == logging.ERROR, level == logging.INFO
        unwanted = self._mode == "off" or (self._mode == "sampled" and well and route in PROBES)
        if (unwanted and not failed) or not log.isEnabledFor(level):
            return None
        name = logging.getLevelName(level).lower()
        each = failed or self._mode == "all"
        return Kind(route, method, code, name, None if each else limiter)


def _level_of(status: int) -> int:
    if status in (500, 504):
        return logging.ERROR
    return logging.WARNING if status >= 400 and status != int(GONE) else logging.INFO


def keep_access_log(gateway: Gateway, settings: Settings, log_handler: AsyncLogHandler) -> None:
    """Report requests to the log_handler, and lines that it drops to the metrics."""
    access_log = AccessLog(settings.access_log, log_handler.write)
    gateway.watch(access_log.record, access_log.skips)
    counted = 0

    def count_dropped() -> None:
        nonlocal counted
        if (dropped := log_handler.dropped) > counted:
            gateway.metrics.log_dropped.inc(dropped - counted)
            counted = dropped

    gateway.metrics.before_scrape.append(count_dropped)


def _fields_of(ended: RequestEvent, kind: Kind, seconds: float, left_out: int) -> Fields:
    fields: Fields = {
        "ts": timestamp(time()),
        "level": kind.level,
        "logger": "access",
        "event": f"{kind.method} {kind.route} {kind.status}",
        "request_id": ended.request_id.decode(),
        "method": kind.method,
        "route": kind.route,
        "status": kind.status,
        "seconds": round(seconds, 6),
    }
    if ended.timings is not None:
        _add_course(fields, ended.timings)
    if ended.trace is not None:
        fields["trace_id"] = ended.trace.name
    if ended.client is not None:
        fields["client"] = ended.client[0]
    if ended.problem is not None:
        _add_problem(fields, ended.problem)
    if left_out:
        fields["left_out"] = left_out
    return fields


def _add_course(fields: Fields, timings: Timings) -> None:
    run = timings.run
    if timings.decoded is not None:
        fields["decode_seconds"] = round(timings.decoded, 6)
    fields["queue_seconds"] = round(timings.waited, 6)
    fields["infer_seconds"] = round(run.seconds, 6)
    fields["batch_size"] = len(run.answers)
    fields["model_version"] = str(run.answers.model.number)


def _add_problem(fields: Fields, problem: Problem) -> None:
    fields["error"] = problem.title
    fields["problem"] = problem.kind.code
    if problem.status in SAFE_DETAILS:
        fields["detail"] = problem.detail
    if problem.failure is not None:
        fields |= problem.failure
