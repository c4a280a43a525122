"""uvicorn's HTTP protocol, except for offered upgrades and for what is not HTTP.

An `Upgrade` that a request offers is ignored, as RFC 9110 section 7.8 allows: the request is served
over HTTP/1.1 and the bytes behind its head are its body. llhttp, the parser below httptools, ends
such a message at its head instead, and uvicorn then drops the rest of the segment and parses the
next one as a new request. Behind a proxy that reads the message to its end, this lets a client
write requests of its own into the connection that other clients share.

    head --llhttp: upgrade--> the same head without its Upgrade header, then the body --> llhttp

Bytes that are not HTTP are answered with a problem document, and the connection is closed.
"""

import re
from secrets import token_hex
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from httptools import (
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserUpgrade,
    HttpRequestParser,
)
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.ended import Record
from service.errors import Problem
from service.methods import KNOWN
from service.problem_types.http import BAD_HTTP, METHOD_NOT_IMPLEMENTED
from service.problems import CONTENT_TYPE, document

if TYPE_CHECKING:
    from service.front import Front

# A request line, or the beginning of one.
METHOD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32})(?:(?: \S*){0,2}\Z| \S+ HTTP/1\.[01]\r\n)")


class Protocol(HttpToolsProtocol):
    """One connection. `config.app` must be a Front."""

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        self.front = cast("Front", self.config.app)
        self.refusal: Problem | None = None  # why a callback of the parser raised
        self.is_last = False  # whether the connection ends with the answer that is being made

    def feed(self, data: bytes) -> None:
        """Give the parser a head, or a part of a body. What it does not accept is refused."""
        try:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade:
                self._parse_again(self._head_without_upgrade())
        except HttpParserError as error:
            self.refuse_invalid(error, data)

    def refuse_invalid(self, error: HttpParserError, data: bytes) -> None:
        self.logger.warning("Invalid HTTP request received.")  # as uvicorn does
        self.refuse(self.refusal or _problem_of(error, data))

    def _parse_again(self, head: bytes) -> None:
        # By a new parser: where this message is the connection's last, the old one reads no more.
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.parser.feed_data(head)

    def _head_without_upgrade(self) -> bytes:
        """The head that has just been parsed, as the parser must read it again.

        Raises the refusal of CONNECT, whose head no other protocol follows either: it cannot be
        parsed as anything but the last message of a connection.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.refusal = Problem(
                METHOD_NOT_IMPLEMENTED, "CONNECT is not implemented: this is not a proxy"
            )
            raise HttpParserError
        lines = [b"%b %b HTTP/%b" % (method, self.url, self.parser.get_http_version().encode())]
        lines += [b"%b: %b" % header for header in self.headers if header[0].lower() != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def refuse(self, problem: Problem) -> None:
        """Answer what never became a request, and close the connection."""
        latest: Any = self.cycle
        if latest is not None and latest.more_body and latest.response_started:
            # Of the body that breaks: an error behind an answer would be taken for the next one.
            self.transport.close()
            return
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
            "X-Content-Type-Options: nosniff\r\nConnection: close\r\n"
        )
        head += "".join(f"{name}: {value}\r\n" for name, value in problem.headers.items()) + "\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()


def _problem_of(error: HttpParserError, data: bytes) -> Problem:
    """Why the parser refused these bytes, as far as it can be known."""
    method = METHOD.match(data)
    # A known one begins a request that was whole: what the parser refused stands behind that.
    known = method is None or method[1].decode() in KNOWN
    if isinstance(error, HttpParserInvalidMethodError) and method is not None and not known:
        return Problem(
            METHOD_NOT_IMPLEMENTED, f"the method {method[1].decode()} is not implemented"
        )
    return Problem(BAD_HTTP, "the request is not valid HTTP/1.1")
