"""The images of a request to /v1/predict in the batcher, and the response that they become."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from service.api.options import DEFAULT_OPTIONS, Options
from service.api.predictions import BatchPredictions
from service.batching.batcher import Batcher
from service.batching.interface import BatchResult
from service.errors import Problem
from service.http.exchange import Exchange
from service.problem_types.versions import VERSION_REPLACED
from service.telemetry.metrics.registry import Metrics
from service.telemetry.request_record import Timings
from service.tensors import Pixels

PreviewUrls = Sequence[str] | None  # a data URL for each image; None: not requested


class Predictor(NamedTuple):
    """Predicts images, once they are pixels."""

    # Raises what `submit` would raise now: for that many images, at that time, with that deadline.
    admit: Callable[[int, float, float], None]
    # Pixels (n, 28, 28), whose decoding took so many seconds.
    submit: Callable[[Exchange, Options, Pixels, float, PreviewUrls], object]


def batched(
    batcher: Batcher[BatchPredictions], metrics: Metrics, version: int | None = None
) -> Predictor:
    """By the model that serves, in batches; `version`: only while that version serves."""
    return Predictor(batcher.admit, partial(PendingPrediction, batcher, metrics, version))


def head_of(decoded: float, waited: float, run: BatchResult[BatchPredictions]) -> bytes:
    """Header lines of a response; times are seconds."""
    return (
        b"content-type: application/json\r\n"
        b"server-timing: decode;dur=%.3f, queue;dur=%.3f, infer;dur=%b"
        % (decoded * 1e3, waited * 1e3, run.answers.rest_of_head(run.seconds))
    )


def predictions_of(
    batch: BatchPredictions, mine: range, options: Options, preview_urls: PreviewUrls
) -> bytes:
    """All entries of "predictions"."""
    urls: Sequence[str | None] = preview_urls or [None] * len(mine)
    return b",".join(
        [batch.prediction(place, options, url) for place, url in zip(mine, urls, strict=True)]
    )


class PendingPrediction:
    __slots__ = (
        "_count", "_decoded", "_exchange", "_metrics", "_options", "_preview_urls", "_version",
    )  # fmt: skip

    def __init__(
        self,
        batcher: Batcher[BatchPredictions],
        metrics: Metrics,
        version: int | None,
        exchange: Exchange,
        options: Options,
        pixels: Pixels,
        decoded: float,
        preview_urls: PreviewUrls,
    ) -> None:
        """`pixels` (n, 28, 28), which took `decoded` seconds; raises what `submit` raises."""
        self._metrics = metrics
        self._version = version
        self._exchange = exchange
        self._options = options
        self._decoded = decoded
        self._preview_urls = preview_urls
        self._count = count = len(pixels)
        if count == 1:
            metrics.decode_seconds.record(decoded)
        else:
            metrics.decode_seconds.record_all([decoded / count] * count)
        waiting = batcher.submit(self, pixels, deadline=exchange.deadline)
        exchange.cancel_work = partial(batcher.cancel, waiting)

    def answered(self, run: BatchResult[BatchPredictions], first: int, waited: float) -> None:
        metrics, batch, options = self._metrics, run.answers, self._options
        if self._version is not None and self._version != batch.model.number:
            detail = f"version {batch.model.number} took the place of {self._version} meanwhile"
            self.failed(Problem(VERSION_REPLACED, f"{detail}; ask again"))
            return
        metrics.queue_wait_seconds.record(waited)
        if self._count == 1:  # as most are
            metrics.predictions.record(batch.model.labels[batch.digits[first]])
            metrics.confidence.record(batch.confidences[first])
            if batch.uncertain(first, options.threshold):
                metrics.uncertain.record(())
            if options is DEFAULT_OPTIONS:
                predictions = batch.predictions[first]
            else:
                urls = self._preview_urls
                predictions = batch.prediction(first, options, urls[0] if urls else None)
        else:
            mine = range(first, first + self._count)
            batch.record(metrics, mine, options.threshold)
            predictions = predictions_of(batch, mine, options, self._preview_urls)
        self._exchange.timings = Timings(self._decoded, waited, run, self._count)
        self._exchange.reply(
            200, head_of(self._decoded, waited, run), batch.model.answer % predictions
        )

    def failed(self, error: Exception) -> None:
        self._exchange.fail(error)
