"""The images of a request to /v1/predict in the batcher, and the response that they become."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import compress
from time import perf_counter
from typing import NamedTuple

from preprocessing.preparation import Preparer
from service.api.options import DEFAULT_OPTIONS, Options
from service.api.predictions import BatchPredictions, Replaced
from service.batching.batcher import Batcher
from service.batching.interface import (
    AnsweredNaN,
    BatchResult,
    DeadlinePassed,
    ModelFailed,
    Place,
)
from service.errors import Problem
from service.http.exchange import Begin, Exchange
from service.models.loading import Model
from service.problem_types.versions import VERSION_REPLACED
from service.telemetry.metrics.registry import Metrics
from service.telemetry.request_record import Timings
from service.tensors import Pixels

PreviewUrls = Sequence[str] | None  # a data URL for each image; None: not requested


class Together(NamedTuple):
    """Predicts images of plain requests that arrived in the same turn of the event loop: those of
    one image, without options or a deadline of their own.
    """

    max_batch: Callable[[], int]
    # How many more of them need no `admit`.
    room: Callable[[], int]
    # At most max_batch exchanges, their images (n, *shape), by which model's preparation, the
    # seconds that decoding took for each, and what begins one again.
    submit: Callable[[list[Exchange], Pixels, Preparer, float, Begin], object]


class Predictor(NamedTuple):
    """Predicts images, once they are pixels."""

    model: Callable[[], Model]  # for which images are prepared now
    # Raises what `submit` would raise now: for that many images, at that time, with that deadline.
    admit: Callable[[int, float, float], None]
    # Pixels (n, *shape), what prepared them, how many seconds decoding took, and what begins the
    # request again if the model that serves meanwhile takes others.
    submit: Callable[[Exchange, Options, Pixels, Preparer, float, PreviewUrls, Begin], object]
    together: Together | None = None  # None: each request alone


def batched(
    model: Callable[[], Model],
    batcher: Batcher[BatchPredictions],
    metrics: Metrics,
    version: int | None = None,
) -> Predictor:
    """By the model that serves, which `model` returns, in batches.

    `version`: only while that version serves.
    """
    pending = partial(PendingPrediction, batcher, metrics, version)

    def submit(
        exchange: Exchange,
        options: Options,
        pixels: Pixels,
        prepare: Preparer,
        decoded: float,
        preview_urls: PreviewUrls,
        again: Begin,
    ) -> None:
        count = len(pixels)
        metrics.decode_seconds.record_all([decoded / count] * count)
        pending(exchange, options, pixels, prepare, decoded, preview_urls, again)

    def submit_together(
        exchanges: list[Exchange], pixels: Pixels, prepare: Preparer, decoded: float, again: Begin
    ) -> None:
        metrics.decode_seconds.record_all([decoded] * len(exchanges))
        PendingTogether(batcher, metrics, pending, exchanges, pixels, prepare, decoded, again)
        batcher.leave_if_full()

    if version is not None:  # then a request has a predictor of its own
        return Predictor(model, batcher.admit, submit)
    together = Together(lambda: batcher.max_batch, batcher.room, submit_together)
    return Predictor(model, batcher.admit, submit, together)


def head_of(decoded: float, waited: float, run: BatchResult[BatchPredictions]) -> bytes:
    """Header lines of a response; times are seconds."""
    return (
        b"content-type: application/json\r\n"
        b"server-timing: decode;dur=%.3f, queue;dur=%.3f, infer;dur=%b"
        % (decoded * 1e3, waited * 1e3, run.answers.rest_of_head(run.seconds))
    )


def predictions_of(
    batch: BatchPredictions, mine: Sequence[int], options: Options, preview_urls: PreviewUrls
) -> bytes:
    """All entries of "predictions"."""
    urls: Sequence[str | None] = preview_urls or [None] * len(mine)
    return b",".join(
        [batch.prediction(place, options, url) for place, url in zip(mine, urls, strict=True)]
    )


class PendingPrediction:
    __slots__ = (
        "_again", "_count", "_decoded", "_exchange", "_metrics", "_options", "_prepare",
        "_preview_urls", "_version",
    )  # fmt: skip

    def __init__(
        self,
        batcher: Batcher[BatchPredictions],
        metrics: Metrics,
        version: int | None,
        exchange: Exchange,
        options: Options,
        pixels: Pixels,
        prepare: Preparer,
        decoded: float,
        preview_urls: PreviewUrls,
        again: Begin,
        *,
        admitted: bool = False,
    ) -> None:
        """`pixels` (n, *shape), which took `decoded` seconds; raises what `submit` raises."""
        self._metrics = metrics
        self._version = version
        self._exchange = exchange
        self._options = options
        self._prepare = prepare
        self._decoded = decoded
        self._preview_urls = preview_urls
        self._again = again
        self._count = len(pixels)
        waiting = batcher.submit(self, pixels, deadline=exchange.deadline, admitted=admitted)
        exchange.cancel_work = lambda _: batcher.cancel(waiting)

    def answered(self, run: BatchResult[BatchPredictions], first: int, waited: float) -> None:
        metrics, batch, options = self._metrics, run.answers, self._options
        if self._version is not None and self._version != batch.model.number:
            detail = f"version {batch.model.number} took the place of {self._version} meanwhile"
            self.failed(Problem(VERSION_REPLACED, f"{detail}; ask again"))
            return
        if self._prepare is not batch.model.prepare:
            self.failed(Replaced(batch.model))
            return
        mine = range(first, first + self._count)
        metrics.queue_wait_seconds.record(waited)
        batch.record(metrics, mine, options.threshold)
        predictions = predictions_of(batch, mine, options, self._preview_urls)
        self._exchange.timings = Timings(self._decoded, waited, run, self._count)
        self._exchange.reply(
            200, head_of(self._decoded, waited, run), batch.model.answer % predictions
        )

    def failed(self, error: Exception) -> None:
        if isinstance(error, Replaced) and self._version is None:
            self._again(self._exchange)
        else:
            self._exchange.fail(error)


class PendingTogether:
    """Plain requests that arrived in the same turn of the event loop, as one in the batcher.

    What applies to one of them alone, such as that its client hangs up or its image makes the model
    fail, is done for that one.
    """

    def __init__(
        self,
        batcher: Batcher[BatchPredictions],
        metrics: Metrics,
        pending: Callable[..., object],
        exchanges: list[Exchange],
        pixels: Pixels,
        prepare: Preparer,
        decoded: float,
        again: Begin,
    ) -> None:
        """`pending` makes a PendingPrediction of one of them."""
        self._batcher = batcher
        self._metrics = metrics
        self._pending = pending
        self._exchanges = exchanges
        self._prepare = prepare
        self._decoded = decoded
        self._again = again
        # The latest: all arrived within a turn of the event loop. `answered` checks each.
        deadline = max([exchange.deadline for exchange in exchanges])
        try:
            self._waiting = batcher.submit(self, pixels, deadline=deadline)
        except Problem:  # of all of them together
            self._submit_each(pixels, admitted=False)
            return
        cancel = self._cancel
        for exchange in exchanges:
            exchange.cancel_work = cancel

    def answered(self, run: BatchResult[BatchPredictions], first: int, waited: float) -> None:
        metrics, batch, now = self._metrics, run.answers, perf_counter()
        if self._prepare is not batch.model.prepare:
            self.failed(Replaced(batch.model))
            return
        exchanges = self._exchanges
        places: Sequence[int] = range(first, first + len(exchanges))
        late = [exchange.over or exchange.deadline <= now for exchange in exchanges]
        if any(late):
            for exchange in compress(exchanges, late):
                exchange.fail(DeadlinePassed("the deadline passed in the model"))
            in_time = [not each for each in late]
            exchanges, places = [*compress(exchanges, in_time)], [*compress(places, in_time)]
        if exchanges:
            predictions, answer = batch.predictions, batch.model.answer
            type(exchanges[0]).reply_to_all(
                exchanges,
                Timings(self._decoded, waited, run, 1),
                head_of(self._decoded, waited, run),
                [answer % predictions[place] for place in places],
            )
        self._waiting.requests = len(exchanges)
        metrics.queue_wait_seconds.record_all([waited] * len(exchanges))
        batch.record(metrics, places, None)

    def failed(self, error: Exception) -> None:
        if isinstance(error, ModelFailed | AnsweredNaN) and len(self._exchanges) > 1:
            self._submit_each(self._waiting.pixels, admitted=True)
            return
        for exchange in self._exchanges:
            if isinstance(error, Replaced):
                self._again(exchange)
            else:
                exchange.fail(error)

    def _submit_each(self, pixels: Pixels, *, admitted: bool) -> None:
        for place, exchange in enumerate(self._exchanges):
            if exchange.over:
                continue
            try:
                image = pixels[place : place + 1]
                self._pending(
                    exchange, DEFAULT_OPTIONS, image, self._prepare, self._decoded, None,
                    self._again, admitted=admitted,
                )  # fmt: skip
            except Exception as error:  # of this request
                exchange.fail(error)

    def _cancel(self, exchange: Exchange) -> Place | None:
        others = [each is not exchange for each in self._exchanges]
        place = self._batcher.shrink(self._waiting, self._waiting.pixels[others])
        if place == "queue":
            self._exchanges = [*compress(self._exchanges, others)]
        return place
