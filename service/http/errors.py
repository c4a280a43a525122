"""Errors as responses: the problem of any exception, its RFC 9457 document, and its count.

    {"type": "/problems/not-a-picture", "title": "Not an image", "status": 422,
     "detail": "<what to do>", "request_id": "..."}

Type, title and status are those of one of the `problem_types`; `detail` belongs to the occurrence.
They are raised below the gateway or FastAPI, and become responses there or on the fast
path. Under /v2 they have the form of the Open Inference Protocol: {"error": "<what to do>"}.

Each refused request is recorded exactly once: in a metric, and an internal error in its details,
which the access log writes.
"""

from collections.abc import Iterable

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Message

from preprocessing.decoder import NotAnImage, TooManyPixels
from preprocessing.digits.normalize import Blank
from service.batching.interface import DeadlinePassed
from service.errors import Problem
from service.http.json_body import reason_of
from service.problem_types import TYPES
from service.problem_types.http import (
    BAD_PARAMETER,
    INTERNAL_ERROR,
    METHOD_NOT_ALLOWED,
    NO_SUCH_ROUTE,
)
from service.problem_types.prediction import (
    BLANK_PICTURE,
    NOT_A_PICTURE,
    OUT_OF_MEMORY,
    TOO_MANY_PIXELS,
)
from service.telemetry.logs.format import failure_of
from service.telemetry.metrics.buffered import BufferedCounter
from service.telemetry.metrics.registry import Metrics
from service.telemetry.request_record import STAGES

CONTENT_TYPE = "application/problem+json"
OPEN_INFERENCE = "/v2"  # where paths begin whose errors are the Open Inference Protocol's
PREPARATION_FULL = "preparation_full"  # in shed_total: as many requests wait to be read as may


class ClientDeadlinePassed(DeadlinePassed):
    """The deadline was the client's own; the service would have waited longer."""


def problem_of(error: Exception) -> Problem:
    """The problem of an exception. An unknown one is a bug, and its response reveals nothing."""
    match error:
        case Problem():
            return error
        # Of what FastAPI and Starlette raise, all but these is unexpected.
        case HTTPException(status_code=404):
            return Problem(NO_SUCH_ROUTE, "there is no such route; GET /docs lists them")
        case HTTPException(status_code=405):
            headers = {name.lower(): value for name, value in (error.headers or {}).items()}
            return Problem(
                METHOD_NOT_ALLOWED, "this route does not take that method", headers=headers
            )
        case RequestValidationError():
            wrong = (f"{'.'.join(map(str, e['loc'][1:]))}: {reason_of(e)}" for e in error.errors())
            return Problem(BAD_PARAMETER, "; ".join(wrong))
        case NotAnImage():
            return Problem(NOT_A_PICTURE, str(error))
        case Blank():
            return Problem(BLANK_PICTURE, str(error))
        case TooManyPixels():
            return Problem(TOO_MANY_PIXELS, str(error))
        case MemoryError():
            return Problem(
                OUT_OF_MEMORY,
                "the service has too little memory for this request at the moment; try again in "
                "1 s. DIGITSERVE_MAX_DECODING bounds what decoding takes",
            )
        case _:
            return Problem(
                INTERNAL_ERROR, "an internal error; the log has it under this request's id"
            )


def answer_to(problem: Problem, path: str, request_id: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of the response to a request for `path`."""
    body = problem.kind.document(problem.detail, request_id)
    content_type = CONTENT_TYPE
    if path.startswith(OPEN_INFERENCE):  # its clients read "error" alone
        body, content_type = {"error": problem.detail}, "application/json"
    return {"content-type": content_type, **problem.headers}, orjson.dumps(body)


def refusal(problem: Problem, path: str, request_id: str) -> tuple[bytes, bytes]:
    """Header lines and body, for an exchange."""
    headers, body = answer_to(problem, path, request_id)
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode(), body


def messages(problem: Problem, path: str, request_id: str) -> tuple[Message, Message]:
    """The same as two ASGI messages."""
    headers, body = answer_to(problem, path, request_id)
    headers["content-length"] = str(len(body))
    start = {
        "type": "http.response.start",
        "status": problem.status,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    return start, {"type": "http.response.body", "body": body}


def begin_at_zero(metrics: Metrics, routes: Iterable[str]) -> None:
    """Start the series at 0: an alert sees the first refusal only as an increase.

    `routes` are those where a client may set a deadline.
    """
    for route in routes:
        metrics.client_deadlines.labels(route)
    for kind in TYPES.values():
        if kind.reason is not None:
            _refusals(kind.status, metrics).labels(kind.reason)
    metrics.shed.labels(PREPARATION_FULL)
    for stage in STAGES:
        metrics.cancelled.labels(stage)


def record_refusal(error: Exception, metrics: Metrics, route: str = "other") -> Problem:
    """The problem of an exception, counted, and with the details for the log.

    A deadline that the client has set does not count as shed load: the service would have waited.
    """
    problem = problem_of(error)
    if isinstance(problem, ClientDeadlinePassed):
        metrics.client_deadlines.record((route,))
    elif problem.reason is not None:
        _refusals(problem.status, metrics).record((problem.reason,))
    elif problem.status == 500:
        problem.failure = failure_of(error)
    _drop_tracebacks(error)
    return problem


def _refusals(status: int, metrics: Metrics) -> BufferedCounter:
    return metrics.access_refused if status in (401, 403) else metrics.shed


def _drop_tracebacks(error: BaseException | None) -> None:
    """Keep no body alive: the traceback refers to frames that hold it, and one holds the error.

    Such cycles wait for the garbage collector, which runs once in 50,000 objects.
    """
    while error is not None and error.__traceback__ is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
