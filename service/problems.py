"""Errors as RFC 9457 problem details, and the one table of which exception answers how.

    {"title": "Not a picture", "status": 422, "detail": "<what to do>", "request_id": "..."}

Raised anywhere below `front` or FastAPI, answered there or by the hot endpoint.
"""

import logging
import math
from collections.abc import Mapping
from http import HTTPStatus

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Message

from service.decode import NotAPicture, TooManyPixels
from service.ink import Blank
from service.waiting import Closed, DeadlinePassed, DeadlineUnreachable, QueueFull

CONTENT_TYPE = "application/problem+json"

log = logging.getLogger("service")


class Problem(Exception):
    """A request that is answered with an error; `detail` says what to do about it."""

    def __init__(
        self, status: int, detail: str, *, title: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title or HTTPStatus(status).phrase
        self.detail = detail
        self.headers = headers or {}


def problem_of(error: Exception) -> Problem:
    """How an exception answers. What is not known here is our own mistake, and tells nothing."""
    match error:
        case Problem():
            return error
        case HTTPException():
            detail = _SENTENCES.get(error.status_code, error.detail)
            return Problem(error.status_code, detail, headers=_lower(error.headers))
        case RequestValidationError():
            wrong = (f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors())
            return Problem(422, "; ".join(wrong), title="Bad parameter")
        case NotAPicture():
            return Problem(422, str(error), title="Not a picture")
        case Blank():
            return Problem(422, str(error), title="Blank picture")
        case TooManyPixels():
            return Problem(413, str(error), title="Too many pixels")
        case QueueFull():
            seconds = str(max(1, math.ceil(error.retry_after)))
            detail = f"{error}; try again in {seconds} s"
            title = "Too late" if isinstance(error, DeadlineUnreachable) else "Overloaded"
            return Problem(503, detail, title=title, headers={"retry-after": seconds})
        case Closed():
            detail = "the service is stopping; another replica can answer"
            return Problem(503, detail, title="Stopping", headers={"retry-after": "1"})
        case DeadlinePassed():
            return Problem(504, str(error), title="Too late")
        case _:
            return Problem(500, "an internal error; the log has it under this request's id")


def logged_problem(error: Exception, request_id: str) -> Problem:
    """The same, and what is our own mistake is in the log under the request's id."""
    problem = problem_of(error)
    if problem.status == 500:
        log.error("request %s failed", request_id, exc_info=error)
    return problem


_SENTENCES = {
    404: "there is no such route; GET /docs lists them",
    405: "this route does not take that method",
}


def _lower(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {name.lower(): value for name, value in (headers or {}).items()}


def document(problem: Problem, request_id: str) -> bytes:
    """The body of the answer."""
    return orjson.dumps(
        {
            "title": problem.title,
            "status": problem.status,
            "detail": problem.detail,
            "request_id": request_id,
        }
    )


def header_lines(problem: Problem, content_type: str = CONTENT_TYPE) -> bytes:
    """The head of the answer, as an exchange is replied to."""
    headers = {"content-type": content_type, **problem.headers}
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()


def messages(problem: Problem, request_id: str) -> tuple[Message, Message]:
    """The two ASGI messages that answer with `problem`."""
    body = document(problem, request_id)
    headers = {"content-type": CONTENT_TYPE, "content-length": str(len(body)), **problem.headers}
    start = {
        "type": "http.response.start",
        "status": problem.status,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    return start, {"type": "http.response.body", "body": body}
