"""The pictures of a request to /v1/predict, in the batcher, and the answer that becomes of them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from service.api.options import NOTHING_ASKED, Options
from service.api.predictions import Readings
from service.batching.batcher import Batcher
from service.batching.interface import BatchResult, QueuedRequest
from service.errors import Problem
from service.http.exchange import Exchange
from service.problem_types.versions import VERSION_REPLACED
from service.telemetry.metrics.registry import Metrics
from service.telemetry.request_record import Stage, Timings
from service.tensors import Pixels

Looks = Sequence[str] | None  # of each picture, as a data URL; None: its sender does not ask for it


class Answering(NamedTuple):
    """Who answers pictures, once they are pixels."""

    # Raises what `ask` would raise now, of that many pictures, at that time, with that deadline.
    admit: Callable[[int, float, float], None]
    # Pixels (n, 28, 28), which took so many seconds to make.
    ask: Callable[[Exchange, Options, Pixels, float, Looks], object]


def batched(batcher: Batcher[Readings], metrics: Metrics, version: int | None = None) -> Answering:
    """By the model that serves, in batches; refused if that is another version than asked for."""
    if version is None:
        return Answering(batcher.admit, partial(Asked, batcher, metrics))
    return Answering(batcher.admit, partial(_AskedOf, version, batcher, metrics))


def head_of(decoded: float, waited: float, run: BatchResult[Readings]) -> bytes:
    """Of an answer; times are seconds."""
    return (
        b"content-type: application/json\r\n"
        b"server-timing: decode;dur=%.3f, queue;dur=%.3f, infer;dur=%.3f\r\n"
        b"x-batch-size: %d\r\n" % (decoded * 1e3, waited * 1e3, run.seconds * 1e3, len(run.answers))
    )


def predictions_of(readings: Readings, mine: range, options: Options, looks: Looks) -> bytes:
    """All that "predictions" holds."""
    shown: Sequence[str | None] = looks or [None] * len(mine)
    return b",".join(
        [readings.prediction(place, options, look) for place, look in zip(mine, shown, strict=True)]
    )


class Asked:
    __slots__ = (
        "_batcher", "_count", "_decoded", "_exchange", "_looks", "_metrics", "_options", "_waiting",
    )  # fmt: skip

    def __init__(
        self,
        batcher: Batcher[Readings],
        metrics: Metrics,
        exchange: Exchange,
        options: Options,
        pixels: Pixels,
        decoded: float,
        looks: Looks,
    ) -> None:
        """`pixels` (n, 28, 28), which took `decoded` seconds; raises what `submit` raises."""
        self._batcher = batcher
        self._metrics = metrics
        self._exchange = exchange
        self._options = options
        self._decoded = decoded
        self._looks = looks
        self._count = count = len(pixels)
        if count == 1:
            metrics.decode_seconds.record(decoded)
        else:
            metrics.decode_seconds.record_all([decoded / count] * count)
        self._waiting: QueuedRequest[Readings] = batcher.submit(
            self, pixels, deadline=exchange.deadline
        )
        exchange.work = self

    def answered(self, run: BatchResult[Readings], first: int, waited: float) -> None:
        metrics, readings = self._metrics, run.answers
        metrics.queue_wait_seconds.record(waited)
        if self._count == 1:  # as most are
            metrics.predictions.record(readings.model.labels[readings.digits[first]])
            metrics.confidence.record(readings.confidences[first])
            options = self._options
            if readings.uncertain(first, options.threshold):
                metrics.uncertain.record(())
            predictions = (
                readings.predictions[first]
                if options is NOTHING_ASKED
                else readings.prediction(first, options, self._looks[0] if self._looks else None)
            )
        else:
            predictions = self._several(readings, range(first, first + self._count))
        self._exchange.timings = Timings(self._decoded, waited, run, self._count)
        self._exchange.reply(
            200, head_of(self._decoded, waited, run), readings.model.answer % predictions
        )

    def failed(self, error: Exception) -> None:
        self._exchange.fail(error)

    def cancel(self) -> Stage | None:
        return self._batcher.cancel(self._waiting)

    def _several(self, readings: Readings, mine: range) -> bytes:
        metrics, options = self._metrics, self._options
        labels, digits = readings.model.labels, readings.digits
        metrics.predictions.record_all([labels[digits[place]] for place in mine])
        metrics.confidence.record_all([readings.confidences[place] for place in mine])
        metrics.uncertain.record_all(
            [() for place in mine if readings.uncertain(place, options.threshold)]
        )
        return predictions_of(readings, mine, options, self._looks)


class _AskedOf(Asked):
    """The same of one version: no answer comes from another."""

    __slots__ = ("_version",)

    def __init__(
        self,
        version: int,
        batcher: Batcher[Readings],
        metrics: Metrics,
        exchange: Exchange,
        options: Options,
        pixels: Pixels,
        decoded: float,
        looks: Looks,
    ) -> None:
        self._version = version
        super().__init__(batcher, metrics, exchange, options, pixels, decoded, looks)

    def answered(self, run: BatchResult[Readings], first: int, waited: float) -> None:
        serving = run.answers.model.number
        if serving == self._version:
            super().answered(run, first, waited)
        else:
            told = f"version {serving} took the place of {self._version} meanwhile; ask again"
            self.failed(Problem(VERSION_REPLACED, told))
