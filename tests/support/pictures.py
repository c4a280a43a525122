"""Images of a digit for tests, as arrays and as files."""

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Gray = NDArray[np.uint8]


def seven(
    *,
    side: int = 200,
    at: tuple[float, float] = (0.3, 0.2),
    size: float = 0.5,
    pen: float = 0.05,
    paper: int = 255,
    ink: int = 0,
) -> Gray:
    """A seven drawn with a round pen, antialiased; lengths are fractions of `side` (pixels)."""
    fine = side * 8
    x, y = (fine * part for part in at)
    high, width = fine * size, round(fine * pen)
    image = Image.new("L", (fine, fine), paper)
    points = [(x, y), (x + 0.7 * high, y), (x + 0.25 * high, y + high)]
    ImageDraw.Draw(image).line(points, fill=ink, width=width, joint="curve")
    return np.asarray(image.resize((side, side), Image.Resampling.BOX))


def encoded(picture: Any, kind: str = "PNG", **options: Any) -> bytes:
    """An image file of an array or a Pillow image."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


SEVEN = encoded(seven())
