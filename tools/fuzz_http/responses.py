"""Compare the service's responses on the fast path with its responses through ASGI alone.

    case: requests, cut into pieces, and how the client ends --> service          --> replies
                                                             --> without a fast path --> replies

Both services run in this process, with the same model version and transports in memory. Status,
headers, bodies and order of the responses must be the same, and so must the state of the connection
afterwards and the labels that each request is counted with. What differs from one request to the
next is replaced before: dates, generated request ids, times and batch sizes. Where the client hangs
up at once, it depends on the turns of the event loop how far its requests got: there the service
must only end all work for them.
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from random import Random
from time import perf_counter
from typing import Any

from pydantic import SecretStr
from starlette.types import Message
from uvicorn.server import ServerState

from service.app import build
from service.http.fast.cycle import CONTINUE
from service.http.fast.protocol import FastProtocol
from service.http.gateway import Gateway
from service.settings import Settings
from service.telemetry.logs.format import Fields
from service.telemetry.request_record import Labels, RequestEvent
from tests.fixtures import MODELS
from tests.support.pictures import SEVEN, encoded, seven
from tools.fuzz_http.streams import split
from tools.fuzz_http.transport import MemoryTransport

KEY = b"the-api-key-of-the-comparison"
MAX_BODY = 20_000  # bytes; a limit that is soon reached
PATIENCE = 20.0  # seconds for the responses of a case
# Bytes around which requests are treated differently, and none.
BOUNDS = (0, 1, 511, 512, 513, 4095, 4096, 4097, 8192, 8193, MAX_BODY - 1, MAX_BODY, MAX_BODY + 1)
SMALL = encoded(seven(side=28))
PIXELS = b'{"inputs":[{"name":"pixels","shape":[1,28,28],"datatype":"UINT8","data":[%b]}]}' % (
    b",".join([b"0"] * 784)
)
FORM = (
    b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n%b\r\n--x--\r\n'
)
PREDICT, INFER = b"/v1/predict", b"/v2/models/digits/infer"
IMAGES = [
    (PREDICT, b"image/png", SMALL), (PREDICT, b"image/png", SMALL), (PREDICT, b"", SMALL),
    (PREDICT, b"image/png", SEVEN), (PREDICT, b"image/jpeg", encoded(seven(), "JPEG")),
    (PREDICT, b"multipart/form-data; boundary=x", FORM % SMALL),
    (PREDICT, b"multipart/form-data; boundary=x", FORM % b"no image"),
    (PREDICT, b"application/json", b'{"image": "no base64"}'), (PREDICT, b"text/html", SMALL),
    (PREDICT + b"?top_k=3", b"image/png", SMALL), (PREDICT + b"?nonsense=1", b"image/png", SMALL),
    (INFER, b"", PIXELS), (INFER, b"application/json", PIXELS[:-1]), (INFER, b"", b"{}"),
    (b"/v2/models/other/infer", b"", PIXELS), (b"/v1/nowhere", b"image/png", SMALL),
]  # fmt: skip
PROBES = [b"/livez", b"/readyz", b"/metrics", b"/v2/health/live", b"/nowhere", PREDICT]
HEADERS = [
    b"Connection: close", b"Connection: keep-alive", b"X-Request-ID: given", b"X-Request-ID: a b",
    b"X-Request-Timeout: 9", b"X-Request-Timeout: never", b"Expect: 100-continue", b"Cookie: a=b",
    b"Upgrade: h2c", b"Content-Encoding: gzip", b"Content-Encoding: identity", b"Accept: */*",
    b"Origin: http://x", b"Content-Type: image/png",
]  # fmt: skip
# In place of the one Host header.
INVALID = [
    b"", b"Host: x\r\nHost: x\r\n", b"Host: x\r\nTransfer-Encoding: gzip\r\n", b"Host: x\n",
    b"Host: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n", b"Host : x\r\n", b" Host: x\r\n",
]  # fmt: skip
# Of a response: what no two of them have in common.
CHANGING = re.compile(rb'"request_id":"[^"]*"|dur=[0-9.]+')

Reply = tuple[int, list[tuple[str, str]], bytes]


@dataclass(frozen=True)
class Case:
    methods: list[str]
    pieces: tuple[bytes, ...]
    end: str  # "stays" until it was answered, or "hangs up" at once


def case_of(seed: int, number: int) -> Case:
    random = Random(f"responses {seed} {number}")
    methods, data = [], b""
    count = random.choice((1, 1, 1, 2, 2, 3, 4))
    for _ in range(count):
        # Behind a request that is still being answered, an invalid one is not answered any more: on
        # the fast path the first one may have been answered by then.
        method, content = (
            _invalid(random) if count == 1 and random.random() < 0.1 else _request(random)
        )
        methods.append(method)
        data += content
    if random.random() < 0.08:
        data = data[: random.randrange(1, len(data) + 1)]
    return Case(methods, split(random, data), random.choice(("stays", "stays", "hangs up")))


def _invalid(random: Random) -> tuple[str, bytes]:
    """What is refused before its method counts."""
    _, content = _request(random)
    content = content.replace(b"HTTP/1.0", b"HTTP/1.1", 1)  # which may do without a Host
    return "GET", content.replace(b"Host: x\r\n", random.choice(INVALID))


def _request(random: Random) -> tuple[str, bytes]:
    path, kind, body = random.choice(IMAGES)
    method = "POST"
    if random.random() < 0.2:
        path, kind, body = random.choice(PROBES), b"", b""
        method = random.choice(("GET", "GET", "HEAD", "OPTIONS", "DELETE"))
    elif random.random() < 0.15:
        size = random.choice(BOUNDS)
        body = (body * (size // len(body) + 1))[:size]
    lines = [b"Host: x"]
    if random.random() < 0.9:
        lines.append(
            b"X-API-Key: %b" % (KEY if random.random() < 0.97 else b"another-key-of-someone")
        )
    if kind:
        lines.append(b"Content-Type: %b" % kind)
    lines += random.sample(HEADERS, random.choice((0, 0, 0, 1, 1, 2)))
    if method == "POST" and random.random() < 0.1:
        lines.append(b"Transfer-Encoding: chunked")
        body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    elif body or random.random() < 0.5:
        lines.append(b"Content-Length: %d" % len(body))
    random.shuffle(lines)
    target = b"http://x" + path if random.random() < 0.03 else path
    chunked = b"Transfer-Encoding: chunked" in lines
    version = b"1.0" if random.random() < 0.08 and not chunked else b"1.1"
    head = b"\r\n".join([b"%b %b HTTP/%b" % (method.encode(), target, version), *lines])
    return method, head + b"\r\n\r\n" + body


@dataclass
class Service:
    gateway: Gateway
    labels: list[Labels] = field(default_factory=list)  # of the requests of the present case

    def __post_init__(self) -> None:
        self.gateway.watch(self._note)

    def _note(self, ended: RequestEvent, labels: Labels, seconds: float) -> None:
        self.labels.append(labels)

    @classmethod
    @asynccontextmanager
    async def running(cls, *, fast: bool) -> AsyncIterator["Service"]:
        settings = Settings(
            _env_file=None,
            models=MODELS,
            api_keys=(SecretStr(KEY.decode()),),
            max_body=MAX_BODY,
            threads=1,
            access_log="off",
        )  # type: ignore[call-arg]
        gateway, _, _ = build(settings, _NoLog(), print)  # type: ignore[arg-type]
        if not fast:
            gateway.leave_fast_path()
        async with _lifespan(gateway):
            yield cls(gateway)

    async def replies(self, case: Case) -> tuple[list[Reply], bool, list[Labels]]:
        """The responses, whether the connection was closed, and how requests were counted."""
        self.labels.clear()
        protocol, transport = FastProtocol(self.gateway, ServerState()), MemoryTransport()
        protocol.connection_made(transport)
        for piece in case.pieces:
            if transport.closing:
                break
            protocol.data_received(piece)
            if case.end != "hangs up":
                await _settle(protocol, transport)
        closed = transport.closing
        transport.closing = True
        protocol.connection_lost(None)
        await asyncio.gather(*protocol.server_state.tasks, return_exceptions=True)
        metrics = self.gateway.metrics
        metrics.refresh()
        assert metrics.sums(metrics.inflight) == [0], "a request is in progress for ever"
        if case.end == "hangs up":
            return [], False, []
        return parsed(bytes(transport.written), case.methods), closed, sorted(self.labels)


class _NoLog:
    dropped = 0

    def write(self, fields: Fields) -> None:
        """Nothing is logged."""


@asynccontextmanager
async def _lifespan(gateway: Gateway) -> AsyncIterator[None]:
    received: asyncio.Queue[Message] = asyncio.Queue()
    sent: asyncio.Queue[Message] = asyncio.Queue()
    task = asyncio.create_task(gateway({"type": "lifespan"}, received.get, sent.put))
    await received.put({"type": "lifespan.startup"})
    await sent.get()
    yield
    await received.put({"type": "lifespan.shutdown"})
    await task


async def _settle(protocol: FastProtocol, transport: MemoryTransport) -> None:
    """Wait until the connection waits for its client."""
    until = perf_counter() + PATIENCE
    while not transport.closing and (
        protocol.behind or (protocol.is_busy() and not protocol.in_message)
    ):
        if perf_counter() > until:
            raise AssertionError("no response within the time for it")
        await asyncio.sleep(0)
    for _ in range(8):
        await asyncio.sleep(0)


def parsed(written: bytes, methods: list[str]) -> list[Reply]:
    """Responses, without what no two of them have in common."""
    replies: list[Reply] = []
    written = written.replace(CONTINUE, b"")
    stream = BytesIO(written)
    while stream.tell() < len(written):
        method = methods[min(len(replies), len(methods) - 1)]
        response: Any = HTTPResponse(_Socket(stream), method=method)  # type: ignore[arg-type]
        try:
            response.begin()
            body = response.read()
        except HTTPException as error:
            raise AssertionError(f"what is written is not HTTP: {written!r}") from error
        headers = {name.lower(): value for name, value in response.getheaders()}
        if headers.get("x-request-id") != "given":
            headers["x-request-id"] = "generated"
        if "text/plain; version" in headers.get("content-type", ""):
            body, headers["content-length"] = b"the metrics", ""
        headers.pop("date", None)
        headers.pop("x-batch-size", None)
        timing = headers.get("server-timing", "")
        headers["server-timing"] = re.sub("dur=[0-9.]+", "", timing)
        replies.append((response.status, sorted(headers.items()), CHANGING.sub(b"", body)))
    return replies


class _Socket:
    def __init__(self, stream: BytesIO) -> None:
        self._stream = stream

    def makefile(self, mode: str) -> "_Unclosed":
        return _Unclosed(self._stream)


class _Unclosed:
    """What HTTPResponse reads: it closes its file, but further responses follow."""

    def __init__(self, stream: BytesIO) -> None:
        self.read, self.readline = stream.read, stream.readline
        self.readinto = stream.readinto

    def close(self) -> None: ...

    def flush(self) -> None: ...


async def compare(seed: int, numbers: Sequence[int]) -> int:
    """Compare the cases with these numbers; returns 1 if any is answered differently."""
    different, seen = 0, Counter[int]()
    async with Service.running(fast=True) as fast, Service.running(fast=False) as careful:
        for number in numbers:
            case = case_of(seed, number)
            one, other = await fast.replies(case), await careful.replies(case)
            seen.update(status for status, _, _ in one[0])
            if one != other:
                different += 1
                print(f"\nmake fuzz-http ARGS='--seed {seed} --case {number}'")
                print(f"{case}\n  fast: {one}\n  ASGI: {other}")
    statuses = ", ".join(f"{times:,} x {status}" for status, times in sorted(seen.items()))
    print(
        f"seed {seed}: {len(numbers):,} connections, {different} answered differently; {statuses}"
    )
    return int(different > 0)
