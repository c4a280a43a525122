"""uvicorn's HTTP protocol, except that what is no HTTP is answered as a problem document too."""

from secrets import token_hex
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.ended import Record
from service.problems import CONTENT_TYPE, Problem, document

if TYPE_CHECKING:
    from service.front import Front


class Protocol(HttpToolsProtocol):
    """One connection. `config.app` must be a Front."""

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        self.front = cast("Front", self.config.app)
        self.refusal: Problem | None = None  # why a callback of the parser raised
        self.is_last = False  # whether the connection ends with the answer that is being made

    def send_400_response(self, msg: str) -> None:
        self.refuse(self.refusal or Problem(400, "the request is not valid HTTP/1.1"))

    def refuse(self, problem: Problem) -> None:
        """Answer what never became a request, and close the connection."""
        latest: Any = self.cycle
        waits = latest is not None and not latest.response_complete
        if self.pipeline or (waits and not latest.more_body):
            # What is being answered is answered, and that is all.
            self.pipeline.clear()
            self.is_last, latest.keep_alive = True, False
            self.flow.pause_reading()
            return
        request_id = token_hex(8)
        ended = Record(request_id.encode(), perf_counter(), self.client, {}, problem=problem)
        labels = ("other", "other", str(problem.status))
        self.front.metrics.request_begins()  # so that it is added up soon, as all are
        self.front.metrics.request_ends(labels)
        self.front.tell(ended, labels, 0.0)
        body = document(problem, request_id)
        head = (
            f"HTTP/1.1 {problem.status} {problem.title}\r\nContent-Type: {CONTENT_TYPE}\r\n"
            f"Content-Length: {len(body)}\r\nX-Request-ID: {request_id}\r\n"
            "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
