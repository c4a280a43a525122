"""The exceptions that any part of the service may raise, and what is known of a kind of problem.

CannotStart ends the program with its message. Problem becomes the response to one request, an RFC
9457 problem document, which `http.errors` sends. Its ProblemType is one in `problem_types`.
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
    reason: str | None = None  # the label under which metrics count it; None: they do not

    @property
    def uri(self) -> str:
        """The `type` of a problem document, relative to the service's origin."""
        return f"{PAGES}/{self.code}"

    def document(self, detail: str, request_id: str) -> dict[str, str | int]:
        """A problem document of this kind."""
        return {
            "type": self.uri,
            "title": self.title,
            "status": self.status,
            "detail": detail,
            "request_id": request_id,
        }


class CannotStart(Exception):
    """The service cannot start; the message names the cause and the remedy."""


class Problem(Exception):
    """A request that is answered with an error; `detail` states what to do about it.

    A subclass is for what is caught by its class: it names its kind itself.
    """

    kind: ProblemType
    reason: str | None = None  # a label of its own in metrics; None: that of its kind

    def __init__(
        self, kind: ProblemType, detail: str, *, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.status = kind.status
        self.title = kind.title
        self.reason = self.reason or kind.reason
        self.detail = detail
        self.failure: dict[str, str] | None = None  # of our own mistake, for the log alone
        self.headers = _headers_of(kind) | (headers or {})


def _headers_of(kind: ProblemType) -> dict[str, str]:
    if kind.status == 401:
        return {"www-authenticate": "Bearer"}
    soon = kind.status == 503 or (kind.status == 409 and kind.retry)
    return {"retry-after": "1"} if soon else {}
