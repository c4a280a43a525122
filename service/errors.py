"""The exceptions that any part of the service may raise, and what is known of a kind of problem.

CannotStart ends the program with its message. Problem becomes the response to one request, an RFC
9457 problem document: `http.errors` writes it. Its ProblemType is one of those in `problem_types`.
"""

from dataclasses import dataclass

PAGES = "/problems"  # the path below which each kind has its page


@dataclass(frozen=True)
class ProblemType:
    """One kind of problem. In the texts, `backticks` enclose what is code."""

    code: str  # stable: clients compare it
    status: int
    title: str
    meaning: str  # what it means and why it happens
    remedy: str  # what to do about it
    settings: tuple[str, ...] = ()  # those that bound what was exceeded
    retry: bool = False  # whether the same request may succeed later

    @property
    def uri(self) -> str:
        """The `type` of a problem document, relative to the service's origin."""
        return f"{PAGES}/{self.code}"


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
