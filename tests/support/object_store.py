"""A server with the part of S3's API that the model store uses, in this process.

It can be made to fail: `fault` is called with each request and returns the HTTP status of an error;
`speed` limits how fast the bodies of requests and responses are transferred.
Credentials with another access key than KEY are refused.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

KEY, SECRET = "the-access-key", "a-secret-that-no-log-shows"
BUCKET = "bucket"


class Received(NamedTuple):
    """One request."""

    method: str
    key: str  # of the object, or the prefix of a listing
    listing: bool
    conditional: bool  # If-None-Match on a GET


class ObjectServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that is gone is no error of the server."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__((host, 0), _Handler)
        self.host = host
        self.objects: dict[str, bytes] = {}
        self.written: dict[str, float] = {}  # seconds since 1970, for listings
        self.received: list[Received] = []
        self.fault: Callable[[Received], int | None] = lambda _: None
        self.speed: float | None = None  # bytes a second of each body
        self.lock = threading.Lock()

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which a program uses it."""
        return {
            "AWS_ENDPOINT_URL": f"http://{self.host}:{self.server_port}",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }

    @classmethod
    @contextmanager
    def started(cls) -> Iterator["ObjectServer"]:
        with cls() as server, server.running():
            yield server

    @contextmanager
    def running(self) -> Iterator[None]:
        """Answers while the block runs."""
        thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ObjectServer

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(6, 1, 1)  # TCP_NODELAY

    def do_GET(self) -> None:
        self._answer()

    do_PUT = do_DELETE = do_POST = do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self) -> None:
        url = urlsplit(self.path)
        query = parse_qs(url.query, keep_blank_values=True)
        bucket, _, key = unquote(url.path).strip("/").partition("/")
        size = int(self.headers.get("content-length", 0))
        body = b"".join(map(self.rfile.read, self._pieces(size)))
        listing = "list-type" in query
        if listing:
            key = query.get("prefix", [""])[0]
        conditional = self.command == "GET" and "if-none-match" in self.headers
        request = Received(self.command, key, listing, conditional)
        server = self.server
        with server.lock:
            server.received.append(request)
        status = server.fault(request)
        if status is None and f"Credential={KEY}/" not in self.headers.get("authorization", ""):
            status = 403
        if status is not None:
            return self._send(status, _error("AccessDenied" if status == 403 else "Broken"))
        if bucket != BUCKET:
            return self._send(404, _error("NoSuchBucket"))
        with server.lock:
            if listing:
                return self._send(200, self._listed(key, query))
            getattr(self, f"_{self.command.lower()}")(key, body, query)
        return None

    def _get(self, key: str, body: bytes, query: dict[str, list[str]]) -> None:
        content = self.server.objects.get(key)
        if content is None:
            return self._send(404, _error("NoSuchKey"))
        if self.headers.get("if-none-match") == _etag(content):
            return self._send(304)
        return self._send(200, content, _etag(content))

    _head = _get

    def _put(self, key: str, body: bytes, query: dict[str, list[str]]) -> None:
        there = self.server.objects.get(key)
        wanted = self.headers.get("if-match")
        if self.headers.get("if-none-match") == "*" and there is not None:
            return self._send(412, _error("PreconditionFailed"))
        if wanted is not None and (there is None or _etag(there) != wanted):
            return self._send(412, _error("PreconditionFailed"))
        self.server.objects[key] = body
        return self._send(200, b"", _etag(body))

    def _delete(self, key: str, body: bytes, query: dict[str, list[str]]) -> None:
        self.server.objects.pop(key, None)
        self._send(204)

    def _post(self, key: str, body: bytes, query: dict[str, list[str]]) -> None:
        """Deletion of several objects."""
        keys = re.findall(rb"<Key>(.*?)</Key>", body)
        for each in keys:
            self.server.objects.pop(each.decode(), None)
        deleted = "".join(f"<Deleted><Key>{each.decode()}</Key></Deleted>" for each in keys)
        self._send(200, f"<DeleteResult>{deleted}</DeleteResult>".encode())

    def _listed(self, prefix: str, query: dict[str, list[str]]) -> bytes:
        delimiter = query.get("delimiter", [""])[0]
        rows, folders = [], []
        for key, content in sorted(self.server.objects.items()):
            if not key.startswith(prefix):
                continue
            inner = key[len(prefix) :]
            if delimiter and delimiter in inner:
                folders.append(prefix + inner.partition(delimiter)[0] + delimiter)
                continue
            at = formatdate(self.server.written.get(key), usegmt=True)
            rows.append(
                f"<Contents><Key>{escape(key)}</Key><LastModified>{_iso(at)}</LastModified>"
                f"<Size>{len(content)}</Size><ETag>{escape(_etag(content))}</ETag></Contents>"
            )
        shared = "".join(
            f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>"
            for each in dict.fromkeys(folders)
        )
        count = len(rows) + len(folders)
        return (
            f"<ListBucketResult><KeyCount>{count}</KeyCount><IsTruncated>false</IsTruncated>"
            f"{''.join(rows)}{shared}</ListBucketResult>"
        ).encode()

    def _send(self, status: int, body: bytes = b"", etag: str | None = None) -> None:
        self.send_response(status)
        if etag:
            self.send_header("ETag", etag)
            self.send_header("Last-Modified", formatdate(usegmt=True))
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            for size in self._pieces(len(body)):
                self.wfile.write(body[:size])
                body = body[size:]

    def _pieces(self, size: int) -> Iterator[int]:
        """The sizes in which a body is transferred, in time for `speed`."""
        while self.server.speed is not None and size > 0:
            piece = min(size, max(1, int(self.server.speed / 20)))
            time.sleep(piece / self.server.speed)
            yield piece
            size -= piece
        yield size


def _etag(content: bytes) -> str:
    return f'"{md5(content).hexdigest()}"'


def _error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()


def _iso(at: str) -> str:
    from email.utils import parsedate_to_datetime

    return parsedate_to_datetime(at).strftime("%Y-%m-%dT%H:%M:%S.000Z")
