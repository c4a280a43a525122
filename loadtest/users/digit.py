"""A test digit as the service gives it away: GET /v1/samples/random"""

import json
from base64 import b64decode
from io import BytesIO
from typing import NamedTuple, Self

from PIL import Image

SAMPLES = "/v1/samples/random"


class Digit(NamedTuple):
    number: int  # in the test set
    label: str
    png: bytes
    column: int = -1  # of the answer's probabilities that is its own; known once it was read

    @classmethod
    def told(cls, document: bytes) -> Self:
        """ValueError, KeyError or TypeError if it is another document."""
        told = json.loads(document)
        return cls(told["index"], told["label"], b64decode(told["image"].partition(",")[2]))

    @property
    def picture(self) -> Image.Image:
        """Gray, 255 = ink."""
        return Image.open(BytesIO(self.png)).convert("L")
