"""The predictions of a batch, and their JSON.

    logits, probabilities (n, labels) float32 --> n times {"digit": 7, "label": "7", ...}

The JSON is written for the whole batch at once, and its constant parts once for each model: that
takes 1 us an image, where a dict of its own and a call of orjson take 8.
"""

from collections.abc import Sequence
from time import perf_counter
from typing import Self

import numpy as np
import orjson
from numpy.typing import NDArray

from service.api.options import Options
from service.models.loading import Model
from service.models.manager import ModelManager
from service.telemetry.metrics.registry import Metrics
from service.tensors import Answers, Pixels, Rows

CERTAIN, UNCERTAIN = b"}", b',"uncertain":true}'


class BatchPredictions:
    """Of one batch, by one model."""

    def __init__(self, model: Model, answers: Answers, seconds: float = 0.0) -> None:
        """`seconds`: the duration of the model call."""
        self.model = model
        self.seconds = seconds
        self.logits: Rows = answers.logits  # (n, labels)
        self.probabilities: Rows = answers.probabilities  # (n, labels)
        # The index of the likeliest class, of each image, and its probability: as the model's
        # output has it, (n,), and as floats.
        self.digits: list[int] = self.probabilities.argmax(1).tolist()
        self._highest: NDArray[np.float32] = self.probabilities.max(1)
        self.confidences: list[float] = self._highest.tolist()
        self._rest_of_head = b""
        self._texts: list[bytes] = []
        self._predictions: list[bytes] = []

    @classmethod
    def by(cls, model: Model, pixels: Pixels) -> Self:
        """Those of images (n, 28, 28), by one call of the model."""
        began = perf_counter()
        answers = model.engine(pixels)
        return cls(model, answers, perf_counter() - began)

    def __len__(self) -> int:
        return len(self.logits)

    def rest_of_head(self, seconds: float) -> bytes:
        """The end of the response's header lines, which all requests of the batch share."""
        if not self._rest_of_head:
            self._rest_of_head = b"%.3f\r\nx-batch-size: %d\r\n" % (seconds * 1e3, len(self))
        return self._rest_of_head

    @property
    def texts(self) -> list[bytes]:
        """The probabilities as JSON, of each image, without the brackets around them."""
        if not self._texts:
            rows = np.ascontiguousarray(self.probabilities)
            # [[0.1,0.9],[0.8,0.2]] without its outermost brackets, cut into rows.
            text = orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY)
            self._texts = text[2:-2].split(b"],[")
        return self._texts

    @property
    def predictions(self) -> list[bytes]:
        """The entry of "predictions", of each image, for requests without options."""
        if not self._predictions:
            openings, threshold = self.model.openings, self.model.threshold
            numbers = orjson.dumps(self._highest, option=orjson.OPT_SERIALIZE_NUMPY)
            self._predictions = [
                b'%b%b,"probabilities":[%b]%b'
                % (
                    openings[digit],
                    number,
                    text,
                    CERTAIN if confidence >= threshold else UNCERTAIN,
                )
                for digit, number, text, confidence in zip(
                    self.digits,
                    numbers[1:-1].split(b","),
                    self.texts,
                    self.confidences,
                    strict=True,
                )
            ]
        return self._predictions

    def uncertain(self, place: int, threshold: float | None) -> bool:
        """Whether the confidence of one image is below a threshold; None: the card's."""
        if threshold is None:
            threshold = self.model.threshold
        return self.confidences[place] < threshold

    def record(self, metrics: Metrics, places: Sequence[int], threshold: float | None) -> None:
        """Count the predictions of some of its images."""
        digits, confidences = self.digits, self.confidences
        if len(places) < len(self):
            digits = [digits[place] for place in places]
            confidences = [confidences[place] for place in places]
        least = self.model.threshold if threshold is None else threshold
        metrics.predictions.record_all(map(self.model.labels.__getitem__, digits))
        metrics.confidence.record_all(confidences)
        metrics.uncertain.record_all([()] * sum(map(least.__gt__, confidences)))

    def prediction(self, place: int, options: Options, preview_url: str | None = None) -> bytes:
        """The entry of "predictions" of one image."""
        if options.threshold is None and options.top_k is None and preview_url is None:
            return self.predictions[place]
        numbers, openings = self.texts[place].split(b","), self.model.openings
        digit = self.digits[place]
        top = b""
        if options.top_k is not None:
            likeliest = np.argsort(-self.probabilities[place], kind="stable")[: options.top_k]
            top = b',"top_k":[%b]' % b",".join(
                [b"%b%b}" % (openings[index], numbers[index]) for index in likeliest.tolist()]
            )
        ink = b',"ink":"%b"' % preview_url.encode() if preview_url is not None else b""
        closing = UNCERTAIN if self.uncertain(place, options.threshold) else CERTAIN
        head = b'%b%b,"probabilities":[%b]' % (openings[digit], numbers[digit], self.texts[place])
        return head + top + ink + closing


def predict_batch(serving: ModelManager, metrics: Metrics, pixels: Pixels) -> BatchPredictions:
    """The predictions of a batch (n, 28, 28) by the model that serves now, recorded."""
    model = serving.model  # read once: one version answers the whole batch
    metrics.batch_size.record(len(pixels))
    batch = BatchPredictions.by(model, pixels)
    metrics.inference_seconds.labels(model.engine.provider).record(batch.seconds)
    return batch
