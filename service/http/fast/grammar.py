"""The syntax of HTTP/1.1 messages (RFC 9112), checked on the bytes before they are parsed.

llhttp, the parser below httptools, takes more than the RFC allows and hides what it took: a line
that ends with LF alone, a second Content-Length, a coding that is not known. A proxy in front may
read the same bytes in another way, and what is one request to it is two to the service. So a head,
and each line between the chunks of a body, is parsed only if there is one way to read it.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from service.errors import Problem
from service.problem_types.http import BAD_HTTP, HEAD_TOO_LARGE, HOST_HEADER

CHUNKED = -1  # the length of a body that comes in chunks
SMALL = 1024  # bytes of a head: the cache of them has at most 1 MiB
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
# One without white space at the end of values, as nearly all are.
_BARE_HEAD = re.compile(rb"%b\r\n(?:%b:%b(?<![ \t])\r\n)*+\r\n" % (_REQUEST_LINE, _TOKEN, _VALUE))
# The headers that say where a message goes and where it ends.
_TELLING = re.compile(
    rb"\n(host|content-length|transfer-encoding|upgrade):[ \t]*+([^\r]*+)", re.IGNORECASE
)
_FRAMING = frozenset({b"host", b"content-length", b"transfer-encoding"})
_TRAILING_SPACE = re.compile(rb"(?<![ \t])[ \t]++(?=\r\n)")
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


# The head as it is to be parsed; bytes of the body, or CHUNKED; whether both may be parsed in one.
Checked = tuple[bytes, int, bool]


def check_head(content: bytes) -> Checked:
    """Of a complete head. Raises Problem."""
    match, is_plain = _BARE_HEAD.fullmatch(content), True
    if match is None:
        match, is_plain = _HEAD.fullmatch(content), False
        if match is None:
            raise invalid_head(content)
        # llhttp takes it for a part of the value.
        content = _TRAILING_SPACE.sub(b"", content)
    found = _TELLING.findall(content)
    fields = {name.lower(): value for name, value in found}
    if len(fields) < len(found) or (b"host" not in fields and match[1] == b"1"):
        _check_repeated([name.lower() for name, _ in found], is_1_1=match[1] == b"1")
    coding = fields.get(b"transfer-encoding")
    if coding is not None:
        _check_coding(coding, fields, is_1_1=match[1] == b"1")
        return content, CHUNKED, False
    # httptools stops behind a head that offers an upgrade.
    if b"upgrade" in fields or content.startswith(b"CONNECT"):
        is_plain = False
    length = fields.get(b"content-length", b"0")
    if not _LENGTH.fullmatch(length):
        raise Problem(BAD_HTTP, "Content-Length is one number of at most 19 digits")
    return content, int(length), is_plain


# Most clients send the same few heads again and again.
check_small_head = lru_cache(maxsize=1024)(check_head)


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
    """A body in chunks, followed through the pieces in which it arrives."""

    def __init__(self, limit: int) -> None:
        """`limit`: bytes of chunk extensions and trailers together."""
        self._limit = limit
        self._size = 0  # bytes of extensions and trailers so far
        self._left = 0  # bytes of the chunk's data that have not arrived
        self._part = b"\r\n"  # of a line that is not complete; here the end of the head
        self._in_trailers = False

    def check(self, data: bytes, position: int) -> int:
        """Returns up to where the data may be parsed now: to the end of the body, or less.

        Raises Problem.
        """
        for _ in range(CHUNKS_AT_ONCE):
            skipped = min(self._left, len(data) - position)
            self._left -= skipped
            position += skipped
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
    if any(name.lower() in _FRAMING for name, _ in _TELLING.findall(b"\n" + lines)):
        raise Problem(
            BAD_HTTP, "behind the last chunk there is a header that belongs into the head"
        )


def _check_repeated(names: list[bytes], *, is_1_1: bool) -> None:
    hosts = names.count(b"host")
    if hosts > 1 or (hosts == 0 and is_1_1):
        raise Problem(
            HOST_HEADER, f"a request of HTTP/1.1 has one Host header, and this one has {hosts}"
        )
    if any(names.count(name) > 1 for name in _FRAMING):
        raise Problem(BAD_HTTP, "Content-Length or Transfer-Encoding is sent more than once")


def _check_coding(coding: bytes, fields: Mapping[bytes, bytes], *, is_1_1: bool) -> None:
    if not is_1_1:
        raise Problem(BAD_HTTP, "a request of HTTP/1.0 has no Transfer-Encoding")
    if b"content-length" in fields:
        raise Problem(BAD_HTTP, "there are both Transfer-Encoding and Content-Length")
    if coding.lower() != b"chunked":
        raise Problem(BAD_HTTP, "the only Transfer-Encoding that is known is chunked")


def invalid_head(head: bytes) -> Problem:
    """Why a head, or the beginning of one, is not accepted."""
    for pattern, detail in _FAULTS:
        if pattern.search(head):
            return Problem(BAD_HTTP, detail)
    return Problem(BAD_HTTP, "a line of the head is not NAME: VALUE")
