"""The deliberate differences between the service and h11, with reasons: docs/explanation/http.md.

A difference between two readings of a stream is accepted if it starts with a rejection, or with the
end of the connection, for a reason that starts as in one of these.
"""

from typing import NamedTuple

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


class Deviation(NamedTuple):
    what: str
    reason: str  # why it is kept
    service: str  # beginning of the service's reason; empty: the service continues to read
    h11: str  # the same for h11
    example: bytes


DEVIATIONS = (
    Deviation(
        "A line that ends with a bare LF",
        "RFC 9112, section 2.2, allows both. If only one of two parsers accepts a bare LF, they "
        "see different headers. Only handwritten clients send it.",
        "400 a line ends with LF alone",
        "",
        b"GET / HTTP/1.1\nHost: x\n\n",
    ),
    Deviation(
        "A header line that continues on the next line (obs-fold)",
        "RFC 9112, section 5.2: a server must reject it or replace it by spaces. Parsers that do "
        "neither take the second line for a header.",
        "400 a line of the head begins with white space",
        "",
        HEAD + b"X: a\r\n b\r\n\r\n",
    ),
    Deviation(
        "Control characters in a header's value",
        "RFC 9110, section 5.5, does not allow them; h11 rejects only NUL and white space.",
        "400 there is a control character",
        "",
        HEAD + b"X: a\x01b\r\n\r\n",
    ),
    Deviation(
        "Versions other than HTTP/1.0 and HTTP/1.1; targets that are neither a path, nor `*`, nor "
        "`scheme://host`; methods of more than 32 letters; `PRI`",
        "The service supports nothing else. h11 accepts any version of two digits and leaves "
        "targets and methods to the application.",
        "400 the request line is not",
        "",
        b"GET x HTTP/1.1\r\nHost: x\r\n\r\n",
    ),
    Deviation(
        "`CONNECT`",
        "501, and the connection is closed: the bytes after the head are not HTTP.",
        "501 ",
        "",
        b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    ),
    Deviation(
        "`Transfer-Encoding` and `Content-Length` in one request",
        "RFC 9112, section 6.3, allows a server to reject it. It is used for request smuggling.",
        "400 there are both",
        "",
        HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    Deviation(
        "`Transfer-Encoding` in HTTP/1.0",
        "RFC 9112, section 6.1: the framing must be treated as faulty.",
        "400 a request of HTTP/1.0 has no Transfer-Encoding",
        "",
        b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    Deviation(
        "`Content-Length` twice with the same value",
        "RFC 9110, section 8.6, allows a server to reject it. A proxy may use either.",
        "400 Content-Length or Transfer-Encoding is sent more than once",
        "",
        HEAD + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    ),
    Deviation(
        "`Content-Length` of 20 digits, or as a list of equal numbers",
        "Twenty digits may not fit into 64 bits, and other parsers wrap around; for a list, as "
        "above.",
        "400 Content-Length is one number",
        "",
        HEAD + b"Content-Length: 1, 1\r\n\r\nx",
    ),
    Deviation(
        "Chunk sizes of 17 digits and more; white space after the size; chunk extensions that are "
        "not `;name` or `;name=value`",
        "RFC 9112, section 7.1, allows white space only within extensions, where no client sends "
        "it. Parsers differ in how much of such a line they skip.",
        "400 a chunk begins with its size",
        "",
        CHUNKED + b"0 \r\n\r\n",
    ),
    Deviation(
        "Lines after the last chunk that are not headers; h11 accepts obs-fold and a bare LF",
        "As in the head.",
        "400 behind the last chunk there is a line that is no header",
        "",
        CHUNKED + b"0\r\nX: a\n\r\n",
    ),
    Deviation(
        "`Host`, `Content-Length` or `Transfer-Encoding` after the last chunk",
        "RFC 9110, section 6.5.1, does not allow them there. A program that merges trailers into "
        "the head would change its meaning.",
        "400 behind the last chunk there is a header that belongs into the head",
        "",
        CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n",
    ),
    Deviation(
        "Empty lines before a request",
        "RFC 9112, section 2.2: a server should skip at least one; some clients send one after a "
        "body. They count as bytes of the head.",
        "",
        "an empty line before the request line",
        b"\r\n" + HEAD + b"\r\n",
    ),
    Deviation(
        "`Connection: keep-alive` in HTTP/1.0",
        "The connection stays open, as HTTP/1.0 clients expect (RFC 9112, section 9.3).",
        "",
        "the end of a request of HTTP/1.0",
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ),
)  # fmt: skip
