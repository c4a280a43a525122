"""POST /v1/predict: one picture in the body, one prediction in the answer.

    body --decode, ink--> (28, 28) --batcher--> probabilities (10,) --> JSON

A plain ASGI application: FastAPI's machinery around one request costs more than the prediction, so
this route is answered before it (see `front`) and only documented by it (see `openapi`). Raises
what `problems` knows how to answer.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import perf_counter

import orjson
from starlette.types import Receive, Scope, Send

from contract.card import ModelCard
from service.batcher import Batcher, DeadlinePassed, QueueFull
from service.decode import Picture, identify
from service.engine import Rows
from service.ink import Pixels, as_mnist
from service.metrics import Metrics
from service.problems import Problem
from service.settings import Settings

TYPES = frozenset(
    {
        b"image/png", b"image/jpeg", b"image/webp", b"image/bmp", b"image/gif", b"image/tiff",
        b"application/octet-stream", b"",
    }
)  # fmt: skip
LARGE_AT_ONCE = 2  # large pictures being decoded, of up to MAX_PIXELS each: this bounds the memory


DISCARD_SECONDS = 2.0  # of the body of a request that is refused already


class ClientGone(Exception):
    """The client hung up before its request was complete; there is nobody to answer."""


class Predict:
    def __init__(
        self,
        batcher: Batcher[Rows],
        card: ModelCard,
        version: int,
        settings: Settings,
        metrics: Metrics,
    ) -> None:
        self._batcher = batcher
        self._labels = card.labels
        self._model = {"name": card.name, "version": str(version)}
        self._settings = settings
        self._metrics = metrics
        self._decoders = ThreadPoolExecutor(LARGE_AT_ONCE, thread_name_prefix="decode")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        deadline = asyncio.get_running_loop().time() + self._settings.request_timeout
        if scope["method"] != "POST":
            raise Problem(405, "post a picture to this route", headers={"allow": "POST"})
        body = await self._body(scope, receive, deadline)
        picture = identify(body, max_pixels=self._settings.max_pixels)
        began = perf_counter()
        try:
            if picture.small:
                pixels = _decode(picture)
            else:
                pixels = await self._decode_aside(picture, deadline)
            decoded = perf_counter() - began
            self._metrics.decode_seconds.observe(decoded)
            answered = await self._batcher.predict(pixels, deadline=deadline)
        except QueueFull:
            self._metrics.shed.labels("queue_full").inc()
            raise
        except DeadlinePassed:
            self._metrics.shed.labels("deadline").inc()
            raise
        self._metrics.queue_wait_seconds.observe(answered.waited)
        content = orjson.dumps(
            {"model": self._model, "predictions": [self._prediction(answered.answer)]},
            option=orjson.OPT_SERIALIZE_NUMPY,
        )
        timing = (
            f"decode;dur={decoded * 1e3:.3f}, queue;dur={answered.waited * 1e3:.3f}, "
            f"infer;dur={answered.ran * 1e3:.3f}"
        )
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(content)),
            (b"server-timing", timing.encode()),
            (b"x-batch-size", b"%d" % answered.batch_size),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _prediction(self, probabilities: Rows) -> dict[str, object]:
        """One entry of "predictions" from one row (labels,)."""
        digit = int(probabilities.argmax())
        confidence = float(probabilities[digit])
        self._metrics.predictions.labels(self._labels[digit]).inc()
        self._metrics.confidence.observe(confidence)
        return {
            "digit": digit,
            "label": self._labels[digit],
            "confidence": probabilities[digit],
            "probabilities": probabilities,
        }

    async def _decode_aside(self, picture: Picture, deadline: float) -> Pixels:
        """Decode a large picture in a thread, so that the event loop stays free."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(deadline):
                return await loop.run_in_executor(self._decoders, _decode, picture)
        except TimeoutError:
            raise DeadlinePassed("the deadline passed before the picture was decoded") from None

    async def _body(self, scope: Scope, receive: Receive, deadline: float) -> bytes:
        """The whole body, bounded in size and time while it is read."""
        headers = dict(scope["headers"])
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind not in TYPES:
            raise Problem(
                415,
                f"{kind.decode('latin-1')} is not a picture; send image/png, image/jpeg, "
                "image/webp, image/bmp, image/gif, image/tiff or application/octet-stream",
            )
        limit = self._settings.max_body
        if int(headers.get(b"content-length", b"0")) > limit:
            if b"expect" not in headers:  # a client that asked first has not begun to send
                await _discard(receive, 8 * limit)
            raise _too_large(limit)
        chunks, size = [], 0
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGone
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if size > limit:
                        await _discard(receive, 8 * limit)
                        raise _too_large(limit)
                    chunks.append(chunk)
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            seconds = self._settings.request_timeout
            raise Problem(408, f"the body did not arrive within {seconds:g} s") from None
        if size == 0:
            raise Problem(400, "the body is empty; send a picture file as the request's body")
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _decode(picture: Picture) -> Pixels:
    return as_mnist(picture.gray())


async def _discard(receive: Receive, limit: int) -> None:
    """Read on without keeping anything, up to `limit` bytes.

    A connection that is closed while its client still sends is reset, and most clients then never
    see the answer.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_SECONDS):
            more = True
            while more and limit > 0:
                message = await receive()
                limit -= len(message.get("body", b""))
                more = message.get("more_body", False)


def _too_large(limit: int) -> Problem:
    return Problem(
        413,
        f"the body is larger than {limit:,} bytes (DIGITSERVE_MAX_BODY); send a smaller picture",
        headers={"connection": "close"},  # or the rest of the body would be read for nothing
    )
