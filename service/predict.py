"""POST /v1/predict: one picture in the body, one prediction in the answer.

    body --decode, ink--> (28, 28) --batcher--> Readings of the batch --> JSON

FastAPI's machinery around one request costs more than the prediction, so this route is answered
before it (see `exchange`) and only documented by it (see `openapi`). Raises what `problems` knows
how to answer.
"""

import asyncio
from collections.abc import Mapping
from time import perf_counter

import numpy as np

from service.aside import Aside
from service.batcher import Batcher
from service.decode import Raster, identify, small_png
from service.exchange import Exchange, Stage
from service.ink import SIDE, Pixels, are_mnist, as_mnist
from service.metrics import Metrics
from service.problems import Problem, document, header_lines
from service.readings import Readings
from service.settings import Settings
from service.waiting import Run, Waiting

# Of a picture, and what stands for "look for yourself".
TYPES = frozenset(
    {
        b"image/png", b"image/jpeg", b"image/webp", b"image/bmp", b"image/gif", b"image/tiff",
        b"application/octet-stream", b"",
    }
)  # fmt: skip


class Predict:
    route = "/v1/predict"

    def __init__(
        self, batcher: Batcher[Readings], aside: Aside, settings: Settings, metrics: Metrics
    ) -> None:
        self.batcher = batcher
        self.metrics = metrics
        self._max_pixels = settings.max_pixels
        # Pictures of 28x28 since the last turn of the event loop, and the seconds each took.
        self._sheets: list[tuple[Exchange, Raster, float]] = []
        self._aside = aside

    def admit(self, headers: Mapping[bytes, bytes]) -> None:
        """Problem 415 unless the body may be a picture."""
        kind = headers.get(b"content-type", b"")
        if kind not in TYPES:  # most are written just so
            kind = kind.partition(b";")[0].strip().lower()
            if kind not in TYPES:
                raise Problem(
                    415,
                    f"{kind.decode('latin-1')} is not a picture; send image/png, image/jpeg, "
                    "image/webp, image/bmp, image/gif, image/tiff or application/octet-stream",
                )

    def begin(self, exchange: Exchange) -> None:
        if not exchange.body:
            raise Problem(400, "the body is empty; send a picture file as the request's body")
        began = perf_counter()
        # Before decoding, which costs 10 us. The sheets will be in the queue in a moment.
        self.batcher.admit(1 + len(self._sheets), began, exchange.deadline)
        raster = small_png(exchange.body, self._max_pixels)
        if raster is None:
            body = exchange.body
            self._aside.do(
                exchange,
                lambda: self._long_way(body),
                lambda decoded: self._ask(exchange, *decoded),
            )
        elif raster.shape == (SIDE, SIDE):
            self._sheets.append((exchange, raster, perf_counter() - began))
            if len(self._sheets) == 1:
                asyncio.get_running_loop().call_soon(self._ask_sheets)
        else:
            self._ask(exchange, as_mnist(raster), perf_counter() - began)

    def _ask(self, exchange: Exchange, pixels: Pixels, decoded: float) -> None:
        _Asked(self, exchange, pixels, decoded)

    def _ask_sheets(self) -> None:
        """Ask for all pictures of 28x28 that came in this turn of the event loop.

        Whether they look like MNIST is found out for all at once: a fifth of the cost.
        """
        sheets, self._sheets = self._sheets, []
        looks = are_mnist(np.stack([gray for _, gray, _ in sheets])).tolist()
        for (exchange, gray, decoded), is_mnist in zip(sheets, looks, strict=True):
            if exchange.over:  # the client is gone
                continue
            try:
                if not is_mnist:
                    began = perf_counter()
                    gray = as_mnist(gray)
                    decoded += perf_counter() - began
                _Asked(self, exchange, gray, decoded)
            except Exception as error:  # of this picture
                exchange.fail(error)

    def refuse(self, problem: Problem, request_id: str) -> tuple[bytes, bytes]:
        return header_lines(problem), document(problem, request_id)

    def _long_way(self, body: bytes) -> tuple[Pixels, float]:
        """Pixels (28, 28) of any picture, and the seconds they took; in a thread."""
        began = perf_counter()
        pixels = as_mnist(identify(body, max_pixels=self._max_pixels).raster())
        return pixels, perf_counter() - began


class _Asked:
    """A picture in the batcher, and its exchange."""

    __slots__ = ("_decoded", "_exchange", "_predict", "_waiting")

    def __init__(
        self, predict: Predict, exchange: Exchange, pixels: Pixels, decoded: float
    ) -> None:
        """`pixels` (28, 28), which took `decoded` seconds; raises what `submit` raises."""
        self._predict = predict
        self._exchange = exchange
        self._decoded = decoded
        predict.metrics.decode_seconds.note(decoded)
        self._waiting: Waiting[Readings] = predict.batcher.submit(
            self, pixels[np.newaxis], deadline=exchange.deadline
        )
        exchange.work = self

    def answered(self, run: Run[Readings], first: int, waited: float) -> None:
        metrics, readings = self._predict.metrics, run.answers
        metrics.queue_wait_seconds.note(waited)
        metrics.predictions.note(readings.model.labels[readings.digits[first]])
        metrics.confidence.note(readings.confidences[first])
        self._exchange.reply(
            200,
            b"content-type: application/json\r\n"
            b"server-timing: decode;dur=%.3f, queue;dur=%.3f, infer;dur=%.3f\r\n"
            b"x-batch-size: %d\r\n"
            % (self._decoded * 1e3, waited * 1e3, run.seconds * 1e3, len(readings)),
            readings.model.answer % readings.predictions[first],
        )

    def failed(self, error: Exception) -> None:
        self._exchange.fail(error)

    def cancel(self) -> Stage | None:
        return self._predict.batcher.cancel(self._waiting)
