"""What a model said of a batch, and how that is written as JSON.

    logits, probabilities (n, labels) float32 --> n times {"digit": 7, "label": "7", ...}

Written for the whole batch at once, and what never changes once a model: a picture's share is 1 us,
where a dict of its own and a call of orjson take 8.
"""

from functools import cached_property

import numpy as np
import orjson

from service.engine import Answers, Rows
from service.model import Model


class Readings:
    """Of one batch, by one model."""

    def __init__(self, model: Model, answers: Answers, seconds: float = 0.0) -> None:
        """`seconds`: that the model took."""
        self.model = model
        self.seconds = seconds
        self.logits: Rows = answers.logits  # (n, labels)
        self.probabilities: Rows = answers.probabilities  # (n, labels)

    def __len__(self) -> int:
        return len(self.logits)

    @cached_property
    def digits(self) -> list[int]:
        """The index of the likeliest class, of each picture."""
        digits: list[int] = self.probabilities.argmax(1).tolist()
        return digits

    @cached_property
    def confidences(self) -> list[float]:
        """Its probability."""
        confidences: list[float] = self.probabilities.max(1).tolist()
        return confidences

    @cached_property
    def predictions(self) -> list[bytes]:
        """The entry of "predictions", of each picture."""
        rows = np.ascontiguousarray(self.probabilities)
        # [[0.1,0.9],[0.8,0.2]] without its outermost brackets, cut into rows.
        texts = orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY)[2:-2].split(b"],[")
        openings = self.model.openings
        return [
            b'%b%b,"probabilities":[%b]}' % (openings[digit], text.split(b",")[digit], text)
            for digit, text in zip(self.digits, texts, strict=True)
        ]
