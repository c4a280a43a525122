"""The syntax of HTTP/1.1 requests (RFC 9112), and their heads, parsed.

    bytes of a head --parse_head--> Head: method, target, headers, length of the body
    bytes of a body in chunks --ChunkedBody--> the body

The grammar is the parser: what it does not match is refused, so there is one way to read a request,
here and in any proxy in front that keeps to the RFC. Lenient parsers accept a line that ends in LF
alone, a second Content-Length or an unknown coding, and what is one request to a proxy is two to
them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from service.errors import Problem
from service.problem_types.http import (
    BAD_HTTP,
    HEAD_TOO_LARGE,
    HOST_HEADER,
    METHOD_NOT_IMPLEMENTED,
)

CHUNKED = -1  # the length of a body that comes in chunks
SMALL, FEW_LINES = 1024, 32  # bytes and lines of a head that is cached
CACHED = 1024  # heads: 8 MiB at most, parsed; and as many that were begun with
MOST_OF_LINE = 64  # bytes before a chunk, less the extensions
CHUNKS_AT_ONCE = 64  # between which the event loop may turn to other connections

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_VALUE = rb"[^\x00-\x08\n-\x1f\x7f]*+"
_FIELDS = rb"(?:%b:%b\r\n)*+" % (_TOKEN, _VALUE)
_HOST = rb"(?:[0-9A-Za-z.\-_~%]++|\[[0-9A-Fa-f:.]++\])(?::[0-9]{1,5})?"
# CONNECT's is a host: it is answered that the method is not implemented.
_TARGET = rb"(?:/[!-~]*+|\*|[A-Za-z]++://%b(?:[/?][!-~]*+)?|(?<=CONNECT )[!-~]++)" % _HOST
_REQUEST_LINE = rb"(?!PRI )[!#$%%&'*+\-.^_`|~0-9A-Za-z]{1,32}+ %b HTTP/1\.([01])" % _TARGET
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+"'
_EXTENSIONS = rb"(?:;%b(?:=(?:%b|%b))?(?=[;\r]|\Z))*+" % (_TOKEN, _TOKEN, _QUOTED)
_PART_OF_EXTENSION = rb"(?:;(?:%b(?:=(?:%b|%b\\?)?)?)?)?" % (_TOKEN, _TOKEN, _QUOTED[:-1])

_EMPTY_LINES = re.compile(rb"(?:\r\n)*+")
_HEAD = re.compile(rb"%b\r\n%b\r\n" % (_REQUEST_LINE, _FIELDS))
# The headers that say for whom a message is and where it ends.
_FRAMING = frozenset({b"host", b"content-length", b"transfer-encoding"})
_CAREFUL = frozenset({b"expect", b"upgrade", b"transfer-encoding"})
_ABSOLUTE = re.compile(rb"[A-Za-z]++://[^/?#]*+")  # the beginning of a target
_LENGTH = re.compile(rb"[0-9]{1,19}")
# The line before a chunk begins with the end of the line or of the chunk before.
_CHUNK = re.compile(rb"\r\n([0-9A-Fa-f]{1,16})(%b)\r\n" % _EXTENSIONS)
_PART_OF_CHUNK = re.compile(
    rb"\r(?:\n(?:[0-9A-Fa-f]{1,16}%b(?:\r|%b)?)?)?" % (_EXTENSIONS, _PART_OF_EXTENSION)
)
_TRAILERS = re.compile(rb"%b\r\n" % _FIELDS)
_PART_OF_TRAILERS = re.compile(rb"%b(?:%b(?::%b)?)?\r?" % (_FIELDS, _TOKEN, _VALUE))

# Of a head whose end has not arrived: what cannot become valid, and the request line or a part.
_FORBIDDEN = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BEGINNING = re.compile(rb"(?:\r\n)*+(?:\r?\Z|[!-~][^\r]*+\r?\Z|%b\r\n)" % _REQUEST_LINE)
_FAULTS = tuple(
    (re.compile(pattern), detail)
    for pattern, detail in (
        (rb"(?<!\r)\n", "a line ends with LF alone instead of CR LF"),
        (rb"\r(?!\n|\Z)", "there is a CR without LF behind it"),
        (rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "there is a control character in the head"),
        (rb"\A(?!(?:\r\n)*+%b\r\n)" % _REQUEST_LINE,
         "the request line is not METHOD TARGET HTTP/1.1, with one space between each"),
        (rb"\n[ \t]", "a line of the head begins with white space"),
        (rb"\n[^:\r]*[ \t]:", "there is white space before the colon of a header"),
    )
)  # fmt: skip


@dataclass(slots=True)
class Head:
    """The head of a request. Requests with the same head share it: only the last field changes."""

    content: bytes  # as the client sent it
    method: bytes
    target: bytes  # as the client sent it
    path: bytes  # of the target, percent-encoded
    query: bytes  # of the target, without the question mark
    is_1_1: bool
    fields: list[tuple[bytes, bytes]]  # names in lower case
    named: dict[bytes, bytes]  # the same; the last one of those that are repeated
    length: int  # bytes of the body, or CHUNKED
    keep_alive: bool
    # Whether it is as nearly all are: the connection goes on, no header is repeated, and there is
    # no Expect, Upgrade or Transfer-Encoding.
    is_plain: bool
    suits: object = None  # the fast route that it was found to suit


def parse_head(content: bytes) -> Head:
    """The head from its first byte to its empty line. Raises Problem."""
    if not _HEAD.fullmatch(content):
        raise invalid_head(content)
    request_line, *lines = content[:-4].split(b"\r\n")
    method, target, version = request_line.split(b" ")
    if method == b"CONNECT":
        raise Problem(METHOD_NOT_IMPLEMENTED, "CONNECT is not implemented: this is not a proxy")
    fields = []
    for line in lines:
        name, _, value = line.partition(b":")
        fields.append((name.lower(), value.strip(b" \t")))
    named = dict(fields)
    is_1_1 = version == b"HTTP/1.1"
    _check_framing([name for name, _ in fields], named, is_1_1=is_1_1)
    keep_alive = _keeps_alive(fields, is_1_1=is_1_1)
    path, query = _path_and_query(method, target)
    return Head(
        content=content,
        method=method,
        target=target,
        path=path,
        query=query,
        is_1_1=is_1_1,
        fields=fields,
        named=named,
        length=_length(named),
        keep_alive=keep_alive,
        is_plain=keep_alive
        and len(named) == len(fields)
        and b"host" in named
        and not named.keys() & _CAREFUL,
    )


# Clients that keep a connection send the same few heads again and again.
parse_small_head = lru_cache(maxsize=CACHED)(parse_head)


def _path_and_query(method: bytes, target: bytes) -> tuple[bytes, bytes]:
    if method == b"OPTIONS" and target == b"*":
        return b"/", b""  # the methods of the server
    absolute = _ABSOLUTE.match(target)
    if absolute is not None:
        target = target[absolute.end() :]
    path, _, query = target.partition(b"#")[0].partition(b"?")
    return path or b"/", query


def _keeps_alive(fields: list[tuple[bytes, bytes]], *, is_1_1: bool) -> bool:
    """Whether the client wants to send more requests over the connection."""
    options = {
        option.strip(b" \t").lower()
        for name, value in fields
        if name == b"connection"
        for option in value.split(b",")
    }
    return b"close" not in options and (is_1_1 or b"keep-alive" in options)


def _length(named: Mapping[bytes, bytes]) -> int:
    if b"transfer-encoding" in named:
        return CHUNKED
    length = named.get(b"content-length", b"0")
    if not _LENGTH.fullmatch(length):
        raise Problem(BAD_HTTP, "Content-Length is one number of at most 19 digits")
    return int(length)


def check_beginning(head: bytes, checked: int) -> None:
    """Of a head that is not complete, `checked` bytes of it before. Raises Problem."""
    faults = _FORBIDDEN.search(head, max(0, checked - 1))
    if faults is not None or not _BEGINNING.match(head):
        raise invalid_head(head)


def end_of_empty_lines(data: bytes, position: int) -> int:
    match = _EMPTY_LINES.match(data, position)
    return position if match is None else match.end()


def too_large(limit: int) -> Problem:
    return Problem(
        HEAD_TOO_LARGE,
        f"the head of the request is larger than {limit:,} bytes "
        "(DIGITSERVE_MAX_HEADER); send fewer or shorter headers",
    )


class ChunkedBody:
    """Decodes a body in chunks from the pieces in which it arrives."""

    def __init__(self, limit: int) -> None:
        """`limit`: bytes of chunk extensions and trailers together."""
        self._limit = limit
        self._size = 0  # bytes of extensions and trailers so far
        self._left = 0  # bytes of the chunk's data that have not arrived
        self._part = b"\r\n"  # of a line that is not complete; here the end of the head
        self._in_trailers = False
        self._decoded: list[bytes] = []
        self.complete = False

    def decoded(self) -> bytes:
        """The part of the body that was decoded since the last call."""
        decoded, self._decoded = b"".join(self._decoded), []
        return decoded

    def feed(self, data: bytes, position: int) -> int:
        """Decode from `position`; returns where it stopped: at the end of the body or of `data`, or
        after CHUNKS_AT_ONCE chunks. Raises Problem.
        """
        for _ in range(CHUNKS_AT_ONCE):
            if self._left:
                part = data[position : position + self._left]
                self._decoded.append(part)
                self._left -= len(part)
                position += len(part)
            if position == len(data):
                break
            if self._in_trailers:
                return self._check_trailers(data, position)
            position = self._check_line(data, position)
        return position

    def _check_line(self, data: bytes, position: int) -> int:
        known = len(self._part)
        lines, at = self._with_part(data, position)
        match = _CHUNK.match(lines, at)
        if match is None:
            part = lines[at : at + self._limit + MOST_OF_LINE]
            if not _PART_OF_CHUNK.fullmatch(part):
                raise Problem(
                    BAD_HTTP,
                    "a chunk begins with its size in at most 16 hexadecimal digits, extensions as "
                    "RFC 9112 writes them and CR LF, and ends with CR LF",
                )
            return self._keep(part, data)
        self._size += len(match[2])
        self._check_size(0)
        self._left, self._part = int(match[1], 16), b""
        self._in_trailers = self._left == 0
        return position + match.end() - at - known

    def _check_trailers(self, data: bytes, position: int) -> int:
        known = len(self._part)
        lines, at = self._with_part(data, position)
        match = _TRAILERS.match(lines, at)
        if match is None:
            part = lines[at : at + self._limit + MOST_OF_LINE]
            if not _PART_OF_TRAILERS.fullmatch(part):
                raise Problem(BAD_HTTP, "behind the last chunk there is a line that is no header")
            _check_trailers(part)
            return self._keep(part, data)
        _check_trailers(match[0])
        self._check_size(len(match[0]))
        self.complete = True
        return position + match.end() - at - known

    def _with_part(self, data: bytes, position: int) -> tuple[bytes, int]:
        """What is left of the data behind what is kept of a line, and where in it that begins."""
        return (self._part + data[position:], 0) if self._part else (data, position)

    def _keep(self, part: bytes, data: bytes) -> int:
        self._check_size(len(part))
        self._part = part
        return len(data)

    def _check_size(self, more: int) -> None:
        if self._size + more > self._limit:
            raise too_large(self._limit)


def _check_trailers(lines: bytes) -> None:
    names = (line.partition(b":") for line in lines.split(b"\r\n"))
    if any(colon and name.lower() in _FRAMING for name, colon, _ in names):
        raise Problem(
            BAD_HTTP, "behind the last chunk there is a header that belongs into the head"
        )


def _check_framing(names: list[bytes], named: Mapping[bytes, bytes], *, is_1_1: bool) -> None:
    """Raises Problem unless it is certain for whom the request is and where it ends."""
    hosts = names.count(b"host")
    if hosts > 1 or (hosts == 0 and is_1_1):
        raise Problem(
            HOST_HEADER, f"a request of HTTP/1.1 has one Host header, and this one has {hosts}"
        )
    if any(names.count(name) > 1 for name in _FRAMING):
        raise Problem(BAD_HTTP, "Content-Length or Transfer-Encoding is sent more than once")
    coding = named.get(b"transfer-encoding")
    if coding is None:
        return
    if not is_1_1:
        raise Problem(BAD_HTTP, "a request of HTTP/1.0 has no Transfer-Encoding")
    if b"content-length" in named:
        raise Problem(BAD_HTTP, "there are both Transfer-Encoding and Content-Length")
    if coding.lower() != b"chunked":
        raise Problem(BAD_HTTP, "the only Transfer-Encoding that is known is chunked")


def invalid_head(head: bytes) -> Problem:
    """Why a head, or the beginning of one, is not accepted."""
    for pattern, detail in _FAULTS:
        if pattern.search(head):
            return Problem(BAD_HTTP, detail)
    return Problem(BAD_HTTP, "a line of the head is not NAME: VALUE")
