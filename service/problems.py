"""Errors as RFC 9457 problem details, and the one table of which exception answers how.

    {"title": "Not a picture", "status": 422, "detail": "<what to do>", "request_id": "..."}

Raised anywhere below `front` or FastAPI, answered there or by the hot endpoint. Under /v2 they are
written as clients of the Open Inference Protocol read them: {"error": "<what to do>"}.
"""

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
OPEN_INFERENCE = "/v2"  # where paths begin whose errors are the Open Inference Protocol's


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
        self.failure: dict[str, str] | None = None  # of our own mistake, for the log alone
        self.is_clients_deadline = False  # a 504 that the client chose
        if status == 503:
            self.headers = {"retry-after": "1"} | self.headers


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
            return Problem(400, "; ".join(wrong), title="Bad parameter")
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


_SENTENCES = {
    404: "there is no such route; GET /docs lists them",
    405: "this route does not take that method",
}


def _lower(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {name.lower(): value for name, value in (headers or {}).items()}


def content_of(problem: Problem, path: str, request_id: str) -> tuple[str, bytes]:
    """Content type and body of the answer to a request for `path`."""
    if path.startswith(OPEN_INFERENCE):  # its clients read "error", and nothing else
        return "application/json", orjson.dumps({"error": problem.detail})
    return CONTENT_TYPE, document(problem, request_id)


def document(problem: Problem, request_id: str) -> bytes:
    return orjson.dumps(
        {
            "title": problem.title,
            "status": problem.status,
            "detail": problem.detail,
            "request_id": request_id,
        }
    )


def refusal(problem: Problem, path: str, request_id: str) -> tuple[bytes, bytes]:
    """Header lines and body, as an exchange is replied to."""
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
