"""The predictions of a batch, and their JSON.

    logits, probabilities (n, labels) float32 --> n times {"label": "cat", "index": 3, ...}

A prediction has every probability where there are few labels, and the likeliest classes otherwise:
a thousand numbers an image would be most of the service's work. Where the labels are digits it
begins with `digit`.

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
from service.batching.interface import AnsweredNaN
from service.errors import Problem
from service.models.loading import Model
from service.models.manager import ModelManager
from service.problem_types.versions import VERSION_REPLACED
from service.telemetry.metrics.registry import LOW_CONFIDENCE, NOT_ONE_DIGIT, Metrics
from service.tensors import Answers, Pixels, Rows

CERTAIN = b"}"
UNCERTAIN = {
    reason: b',"uncertain":true,"reason":"%b"}' % reason.encode()
    for reason in (LOW_CONFIDENCE, NOT_ONE_DIGIT)
}
TOP = 5  # classes that a prediction of many labels names
FEW_OF = 8  # of that many times as many labels, the likeliest are found before they are sorted
# A prediction of few or of many labels: opening, confidence, what `texts` has of it, and end.
ENTRY_OF_FEW, ENTRY_OF_MANY = b'%b%b,"probabilities":[%b]%b', b'%b%b,"top_k":[%b]%b'


class BatchPredictions:
    """Of one batch, by one model."""

    def __init__(self, model: Model, answers: Answers, seconds: float = 0.0) -> None:
        """`seconds`: the duration of the model call. AnsweredNaN if a probability is NaN."""
        self.model = model
        self.seconds = seconds
        self.logits: Rows = answers.logits  # (n, labels)
        self.probabilities: Rows = answers.probabilities  # (n, labels)
        # The index of the likeliest class, of each image, and its probability: as the model's
        # output has it, (n,), and as floats.
        self.indexes: list[int] = self.probabilities.argmax(1).tolist()
        self._highest: NDArray[np.float32] = self.probabilities.max(1)
        self.confidences: list[float] = self._highest.tolist()
        if not sum(self.confidences) >= 0:  # NaN is not
            raise AnsweredNaN
        self._rest_of_head = b""
        # The likeliest of many classes, of each image, while this is still on the model's thread.
        self._texts = self._tops(slice(None), TOP) if model.has_many_labels else list[bytes]()
        self._predictions: list[bytes] = []

    @classmethod
    def by(cls, model: Model, pixels: Pixels) -> Self:
        """Those of images (n, *model.shape), by one call of the model."""
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
        """The probabilities, or the likeliest of many classes, as JSON, of each image, without the
        brackets around them.
        """
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
            form = ENTRY_OF_MANY if self.model.has_many_labels else ENTRY_OF_FEW
            numbers = orjson.dumps(self._highest, option=orjson.OPT_SERIALIZE_NUMPY)
            self._predictions = [
                form
                % (
                    openings[index],
                    number,
                    text,
                    CERTAIN if confidence >= threshold else UNCERTAIN[self.reason(place)],
                )
                for place, (index, number, text, confidence) in enumerate(
                    zip(
                        self.indexes,
                        numbers[1:-1].split(b","),
                        self.texts,
                        self.confidences,
                        strict=True,
                    )
                )
            ]
        return self._predictions

    def uncertain(self, place: int, threshold: float | None) -> bool:
        """Whether the confidence of one image is below a threshold; None: the card's."""
        if threshold is None:
            threshold = self.model.threshold
        return self.confidences[place] < threshold

    def reason(self, place: int) -> str:
        """Why the prediction of one image is uncertain.

        The image may be one of two digits, or none: then two classes together are unlikely too.
        """
        least = self.model.two_least
        if least and float(np.partition(self.probabilities[place], -2)[-2:].sum()) < least:
            return NOT_ONE_DIGIT
        return LOW_CONFIDENCE

    def record(self, metrics: Metrics, places: Sequence[int], threshold: float | None) -> None:
        """Count the predictions of some of its images."""
        indexes, confidences = self.indexes, self.confidences
        if len(places) < len(self):
            indexes = [indexes[place] for place in places]
            confidences = [confidences[place] for place in places]
        least = self.model.threshold if threshold is None else threshold
        metrics.predictions.record_all(map(self.model.labels.__getitem__, indexes))
        metrics.confidence.record_all(confidences)
        metrics.uncertain.record_all(
            [(self.reason(place),) for place in places if self.confidences[place] < least]
        )

    def prediction(self, place: int, options: Options, preview_url: str | None = None) -> bytes:
        """The entry of "predictions" of one image."""
        if options.threshold is None and options.top_k is None and preview_url is None:
            return self.predictions[place]
        (number,) = _numbers(self._highest[place : place + 1])
        many, end = self.model.has_many_labels, b""
        if options.top_k is not None and not many:
            (top,) = self._tops(slice(place, place + 1), options.top_k)
            end += b',"top_k":[%b]' % top
        if preview_url is not None:
            end += b',"%b":"%b"' % (str(options.debug).encode(), preview_url.encode())
        if self.uncertain(place, options.threshold):
            end += UNCERTAIN[self.reason(place)]
        else:
            end += CERTAIN
        text = self.texts[place]
        if many and options.top_k is not None:
            (text,) = self._tops(slice(place, place + 1), options.top_k)
        form = ENTRY_OF_MANY if many else ENTRY_OF_FEW
        return form % (self.model.openings[self.indexes[place]], number, text, end)

    def _tops(self, places: slice, count: int) -> list[bytes]:
        """The likeliest classes of each of these images, without the brackets around them; of
        equally likely ones the first comes first.
        """
        openings, rows = self.model.openings, self.probabilities[places]
        indexes = largest(rows, count)
        numbers = iter(_numbers(np.take_along_axis(rows, indexes, 1).ravel()))
        return [
            b",".join([b"%b%b}" % (openings[index], next(numbers)) for index in likeliest])
            for likeliest in indexes.tolist()
        ]


def largest(rows: Rows, count: int) -> NDArray[np.intp]:
    """The indexes of the `count` largest values of each row (n, labels), in descending order: at
    most (n, labels). Of equal ones the first comes first.
    """
    if count * FEW_OF >= rows.shape[1]:
        return np.argsort(-rows, axis=1, kind="stable")[:, :count]
    found = np.argpartition(-rows, count - 1, axis=1)[:, :count]
    found.sort(axis=1)
    values = np.take_along_axis(rows, found, 1)
    order = np.argsort(-values, axis=1, kind="stable")
    found = np.take_along_axis(found, order, 1)
    # Of values that equal the least of them, any may have been found.
    tied = (rows >= values.min(1, keepdims=True)).sum(1) > count
    if tied.any():
        found[tied] = np.argsort(-rows[tied], axis=1, kind="stable")[:, :count]
    return found


def predict_batch(serving: ModelManager, metrics: Metrics, pixels: Pixels) -> BatchPredictions:
    """The predictions of a batch (n, *shape) by the model that serves now, recorded.

    Problem if that one takes images of another shape.
    """
    model = serving.model  # read once: one version answers the whole batch
    if pixels.shape[1:] != model.shape:
        raise Replaced(model)
    metrics.batch_size.record(len(pixels))
    batch = BatchPredictions.by(model, pixels)
    metrics.inference_seconds.labels(model.engine.provider).record(batch.seconds)
    metrics.inputs.record(model.number, pixels, batch.indexes, batch.confidences)
    return batch


class Replaced(Problem):
    """The images were prepared for another version than `model`, which takes others."""

    kind = VERSION_REPLACED

    def __init__(self, model: Model) -> None:
        super().__init__(
            self.kind,
            f"version {model.number}, which takes images of another kind, began to serve after "
            "this image was prepared; ask again",
        )


def _numbers(row: NDArray[np.float32]) -> list[bytes]:
    """Each as JSON."""
    text = orjson.dumps(np.ascontiguousarray(row), option=orjson.OPT_SERIALIZE_NUMPY)
    return text[1:-1].split(b",")
