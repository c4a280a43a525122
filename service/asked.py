"""The pictures of a request to /v1/predict, in the batcher, and the answer that becomes of them."""

from collections.abc import Sequence

from service.batcher import Batcher
from service.ended import Course
from service.exchange import Exchange, Stage
from service.metrics import Metrics
from service.options import NOTHING_ASKED, Options
from service.readings import Readings
from service.tensors import Pixels
from service.waiting import Run, Waiting


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
        looks: Sequence[str] | None = None,
    ) -> None:
        """`pixels` (n, 28, 28), which took `decoded` seconds; raises what `submit` raises.

        `looks`: the same as data URLs, where the sender wants to see them.
        """
        self._batcher = batcher
        self._metrics = metrics
        self._exchange = exchange
        self._options = options
        self._decoded = decoded
        self._looks = looks
        self._count = count = len(pixels)
        if count == 1:
            metrics.decode_seconds.note(decoded)
        else:
            metrics.decode_seconds.note_all([decoded / count] * count)
        self._waiting: Waiting[Readings] = batcher.submit(self, pixels, deadline=exchange.deadline)
        exchange.work = self

    def answered(self, run: Run[Readings], first: int, waited: float) -> None:
        metrics, readings = self._metrics, run.answers
        metrics.queue_wait_seconds.note(waited)
        if self._count == 1:  # as most are
            metrics.predictions.note(readings.model.labels[readings.digits[first]])
            metrics.confidence.note(readings.confidences[first])
            options = self._options
            if readings.uncertain(first, options.threshold):
                metrics.uncertain.note(())
            predictions = (
                readings.predictions[first]
                if options is NOTHING_ASKED
                else readings.prediction(first, options, self._looks[0] if self._looks else None)
            )
        else:
            predictions = self._several(readings, range(first, first + self._count))
        self._exchange.course = Course(self._decoded, waited, run, self._count)
        self._exchange.reply(
            200,
            b"content-type: application/json\r\n"
            b"server-timing: decode;dur=%.3f, queue;dur=%.3f, infer;dur=%.3f\r\n"
            b"x-batch-size: %d\r\n"
            % (self._decoded * 1e3, waited * 1e3, run.seconds * 1e3, len(readings)),
            readings.model.answer % predictions,
        )

    def failed(self, error: Exception) -> None:
        self._exchange.fail(error)

    def cancel(self) -> Stage | None:
        return self._batcher.cancel(self._waiting)

    def _several(self, readings: Readings, mine: range) -> bytes:
        metrics, options = self._metrics, self._options
        labels, digits = readings.model.labels, readings.digits
        metrics.predictions.note_all([labels[digits[place]] for place in mine])
        metrics.confidence.note_all([readings.confidences[place] for place in mine])
        metrics.uncertain.note_all(
            [() for place in mine if readings.uncertain(place, options.threshold)]
        )
        looks: Sequence[str | None] = self._looks or [None] * self._count
        return b",".join(
            [
                readings.prediction(place, options, look)
                for place, look in zip(mine, looks, strict=True)
            ]
        )
