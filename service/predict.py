"""POST /v1/predict: one picture in the body, one prediction in the answer.

    body --decode, ink--> (28, 28) --batcher--> probabilities (10,) --> JSON

A plain ASGI application: FastAPI's machinery around one request costs more than the prediction, so
this route is answered before it (see `front`) and only documented by it (see `openapi`). Raises
what `problems` knows how to answer.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import NamedTuple

import orjson
from starlette.types import Receive, Scope, Send

from service.batcher import Answered, Batcher, DeadlinePassed, QueueFull
from service.body import read_body
from service.decode import Picture, identify
from service.engine import Rows
from service.ink import Pixels, as_mnist
from service.metrics import Metrics
from service.model import Model
from service.problems import Problem
from service.settings import Settings


class Reading(NamedTuple):
    """What a model says of one picture."""

    model: Model
    probabilities: Rows  # (labels,)


LARGE_AT_ONCE = 2  # large pictures being decoded, of up to MAX_PIXELS each: this bounds the memory


class Predict:
    def __init__(
        self,
        batcher: Batcher[Reading],
        settings: Settings,
        metrics: Metrics,
    ) -> None:
        self._batcher = batcher
        self._settings = settings
        self._metrics = metrics
        self._decoders = ThreadPoolExecutor(LARGE_AT_ONCE, thread_name_prefix="decode")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        deadline = asyncio.get_running_loop().time() + self._settings.request_timeout
        if scope["method"] != "POST":
            raise Problem(405, "post a picture to this route", headers={"allow": "POST"})
        body = await read_body(scope, receive, self._settings, deadline)
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
        headers, content = self._answer(answered, decoded)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _answer(
        self, answered: Answered[Reading], decoded: float
    ) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """Headers and body; `decoded` is the seconds from file to pixels."""
        self._metrics.queue_wait_seconds.observe(answered.waited)
        reading = answered.answer
        content = orjson.dumps(
            {"model": reading.model.named, "predictions": [self._prediction(reading)]},
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
        return headers, content

    def _prediction(self, reading: Reading) -> dict[str, object]:
        """One entry of "predictions"."""
        labels, probabilities = reading.model.card.labels, reading.probabilities
        digit = int(probabilities.argmax())
        confidence = float(probabilities[digit])
        self._metrics.predictions.labels(labels[digit]).inc()
        self._metrics.confidence.observe(confidence)
        return {
            "digit": digit,
            "label": labels[digit],
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


def _decode(picture: Picture) -> Pixels:
    return as_mnist(picture.gray())
