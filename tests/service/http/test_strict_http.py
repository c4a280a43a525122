"""Anything but strict HTTP/1.1 is answered 400 and closes the connection; nothing after it is read.

Otherwise lenient and strict parsers, such as those of proxies, would disagree about requests.
"""

import json

import pytest

from tests.support.connection import connected, request
from tests.support.invalid_requests import CHUNKED, INVALID, NEXT
from tests.support.pictures import SEVEN
from tests.support.running import Service


@pytest.mark.parametrize("invalid", INVALID.values(), ids=INVALID.keys())
def test_an_invalid_request_is_400_and_nothing_after_it_is_answered(
    service: Service, invalid: bytes
) -> None:
    with connected(service) as connection:
        connection.send(invalid + NEXT)
        status, headers, body = connection.answer()
        assert (status, headers["connection"]) == (400, "close"), body
        assert headers["content-type"] == "application/problem+json"
        assert json.loads(body)["type"] in ("/problems/bad-http", "/problems/host-header")
        assert connection.closed()


@pytest.mark.parametrize("invalid", INVALID.values(), ids=INVALID.keys())
def test_an_invalid_pipelined_request_closes_the_connection(
    service: Service, invalid: bytes
) -> None:
    with connected(service) as connection:
        connection.send(request() + invalid + NEXT)
        status, headers, _ = connection.answer()
        assert status == 200
        if "connection" not in headers:  # it was answered before the rest was parsed
            status, headers, _ = connection.answer()
            assert status == 400
        assert headers["connection"] == "close"
        assert connection.closed()


@pytest.mark.parametrize(
    ("invalid", "detail"),
    [
        ("a header line ends with LF alone", "ends with LF alone"),
        ("white space before a colon", "white space before the colon"),
        ("a tab begins a header line", "begins with white space"),
        ("NUL in a header's value", "control character"),
        ("the version is HTTP/1.10", "METHOD TARGET HTTP/1.1"),
        ("Content-Length that is a list", "at most 19 digits"),
        ("Transfer-Encoding: gzip", "is chunked"),
        ("Transfer-Encoding in HTTP/1.0", "HTTP/1.0 has no Transfer-Encoding"),
        ("Transfer-Encoding before Content-Length", "both Transfer-Encoding and Content-Length"),
        ("a chunk size in 0x", "hexadecimal digits"),
    ],
)
def test_the_error_says_what_is_invalid(service: Service, invalid: str, detail: str) -> None:
    with connected(service) as connection:
        connection.send(INVALID[invalid])
        assert detail in json.loads(connection.answer()[2])["detail"]


@pytest.mark.parametrize(
    "line",
    ["X:a", "X: a", "X:\ta\t", "X: a  ", "X:", "X: \xe9", "!#$%&'*+-.^_`|~09aZ: a", "X: a: b"],
)
def test_valid_headers_are_accepted(service: Service, line: str) -> None:
    with connected(service) as connection:
        connection.send(request(SEVEN, line), request())
        assert [connection.answer()[0], connection.answer()[0]] == [200, 200]


def test_trailing_white_space_is_not_part_of_a_value(service: Service) -> None:
    with connected(service) as connection:
        connection.send(request(SEVEN, "X-Request-ID: mine \t "))
        assert connection.answer()[1]["x-request-id"] == "mine"


@pytest.mark.parametrize(
    "chunks",
    [
        b"%x\r\n%b\r\n0\r\n\r\n",
        b"%016X\r\n%b\r\n000\r\n\r\n",
        b'%x;a;b=c;d="e \\" f"\r\n%b\r\n0;g\r\n\r\n',
        b"%x\r\n%b\r\n0\r\nX: a\r\nY:\r\n\r\n",
    ],
    ids=["bare", "of sixteen digits", "with extensions", "with trailers"],
)
@pytest.mark.parametrize("piece", [1, 7, 10**6], ids=["bytes", "pieces", "at once"])
def test_valid_chunks_are_accepted(service: Service, chunks: bytes, piece: int) -> None:
    sent = CHUNKED + chunks % (len(SEVEN), SEVEN) + request()
    with connected(service) as connection:
        connection.send(*(sent[at : at + piece] for at in range(0, len(sent), piece)))
        assert [connection.answer()[0], connection.answer()[0]] == [200, 200]


def test_empty_lines_before_a_request_are_skipped(service: Service) -> None:
    with connected(service) as connection:
        connection.send(b"\r\n\r\n" + request() + b"\r\n" + request())
        assert [connection.answer()[0], connection.answer()[0]] == [200, 200]
