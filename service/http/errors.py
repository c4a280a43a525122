"""Errors as RFC 9457 problem details, and the one table that maps exceptions to them.

    {"type": "/problems/not-a-picture", "title": "Not a picture", "status": 422,
     "detail": "<what to do>", "request_id": "..."}

Type, title and status are those of one of the `problem_types`; `detail` belongs to the occurrence.
They are raised below the gateway or FastAPI, and become responses there or on the fast
path. Under /v2 they have the form of the Open Inference Protocol: {"error": "<what to do>"}.
"""

import math

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Message

from preprocessing.decoder import NotAPicture, TooManyPixels
from preprocessing.digits.normalize import Blank
from service.batching.interface import (
    BufferFull,
    Closed,
    DeadlinePassed,
    DeadlineUnreachable,
    QueueFull,
)
from service.errors import Problem, ProblemType
from service.problem_types.content import BUFFER_FULL
from service.problem_types.http import (
    BAD_PARAMETER,
    INTERNAL_ERROR,
    METHOD_NOT_ALLOWED,
    NO_SUCH_ROUTE,
)
from service.problem_types.operation import STOPPING
from service.problem_types.prediction import (
    BLANK_PICTURE,
    DEADLINE_PASSED,
    DEADLINE_UNREACHABLE,
    NOT_A_PICTURE,
    OUT_OF_MEMORY,
    QUEUE_FULL,
    TOO_MANY_PIXELS,
)

CONTENT_TYPE = "application/problem+json"
OPEN_INFERENCE = "/v2"  # where paths begin whose errors are the Open Inference Protocol's


def problem_of(error: Exception) -> Problem:
    """The problem of an exception. An unknown one is a bug, and its response reveals nothing."""
    match error:
        case Problem():
            return error
        case HTTPException():
            return _of_framework(error)
        case RequestValidationError():
            wrong = (f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors())
            return Problem(BAD_PARAMETER, "; ".join(wrong))
        case NotAPicture():
            return Problem(NOT_A_PICTURE, str(error))
        case Blank():
            return Problem(BLANK_PICTURE, str(error))
        case MemoryError():
            return Problem(
                OUT_OF_MEMORY,
                "the service has too little memory for this request at the moment; try again in "
                "1 s. DIGITSERVE_MAX_DECODING bounds what decoding takes",
            )
        case TooManyPixels():
            return Problem(TOO_MANY_PIXELS, str(error))
        case QueueFull():
            seconds = str(max(1, math.ceil(error.retry_after)))
            detail = f"{error}; try again in {seconds} s"
            return Problem(_kind_of_full(error), detail, headers={"retry-after": seconds})
        case Closed():
            detail = "the service is stopping; another replica can answer"
            return Problem(STOPPING, detail)
        case DeadlinePassed():
            return Problem(DEADLINE_PASSED, str(error))
        case _:
            return Problem(
                INTERNAL_ERROR, "an internal error; the log has it under this request's id"
            )


def _of_framework(error: HTTPException) -> Problem:
    """For what FastAPI and Starlette raise; all but a wrong path or method is unexpected."""
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    match error.status_code:
        case 404:
            return Problem(NO_SUCH_ROUTE, "there is no such route; GET /docs lists them")
        case 405:
            return Problem(
                METHOD_NOT_ALLOWED, "this route does not take that method", headers=headers
            )
        case _:
            return problem_of(RuntimeError(error.detail))


def _kind_of_full(error: QueueFull) -> ProblemType:
    match error:
        case DeadlineUnreachable():
            return DEADLINE_UNREACHABLE
        case BufferFull():
            return BUFFER_FULL
        case _:
            return QUEUE_FULL


def content_of(problem: Problem, path: str, request_id: str) -> tuple[str, bytes]:
    """Content type and body of the response to a request for `path`."""
    if path.startswith(OPEN_INFERENCE):  # its clients read "error" alone
        return "application/json", orjson.dumps({"error": problem.detail})
    return CONTENT_TYPE, document(problem, request_id)


def document(problem: Problem, request_id: str) -> bytes:
    return orjson.dumps(
        {
            "type": problem.kind.uri,
            "title": problem.title,
            "status": problem.status,
            "detail": problem.detail,
            "request_id": request_id,
        }
    )


def refusal(problem: Problem, path: str, request_id: str) -> tuple[bytes, bytes]:
    """Header lines and body, for an exchange."""
    content_type, body = content_of(problem, path, request_id)
    headers = {"content-type": content_type, **problem.headers}
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode(), body


def messages(problem: Problem, path: str, request_id: str) -> tuple[Message, Message]:
    """The same as two ASGI messages."""
    content_type, body = content_of(problem, path, request_id)
    headers = {"content-type": content_type, "content-length": str(len(body)), **problem.headers}
    start = {
        "type": "http.response.start",
        "status": problem.status,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    return start, {"type": "http.response.body", "body": body}
