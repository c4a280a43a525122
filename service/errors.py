"""The two exceptions that any part of the service may raise.

CannotStart ends the program with its message. Problem becomes the response to one request, an RFC
9457 problem document: `http.errors` writes it.
"""

from service.problem_types.problem_type import ProblemType


class CannotStart(Exception):
    """The service cannot start; the message names the cause and the remedy."""


class Problem(Exception):
    """A request that is answered with an error; `detail` says what to do about it."""

    def __init__(
        self, kind: ProblemType, detail: str, *, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.status = kind.status
        self.title = kind.title
        self.detail = detail
        self.headers = headers or {}
        self.failure: dict[str, str] | None = None  # of our own mistake, for the log alone
        self.is_clients_deadline = False  # a 504 that the client chose
        if kind.status == 503:
            self.headers = {"retry-after": "1"} | self.headers
