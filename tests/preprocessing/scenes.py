"""Synthetic scenes as files of many formats, sizes, colour modes and orientations."""

from collections.abc import Iterator
from io import BytesIO
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

ORIENTATION = 0x112  # EXIF tag
MODES = {
    "PNG": ("RGB", "RGBA", "L", "LA", "P", "1", "I;16"),
    "JPEG": ("RGB", "L", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
    "BMP": ("RGB", "L", "P", "1"),
    "GIF": ("P", "L"),
    "TIFF": ("RGB", "RGBA", "L", "CMYK"),
}
ORIENTED = {"PNG", "JPEG", "WEBP", "TIFF"}


class Scene(NamedTuple):
    name: str  # for error messages: format, mode, size and orientation
    body: bytes


def scenes(count: int, seed: int = 0) -> Iterator[Scene]:
    """Coloured shapes on a gradient, in every format and mode in turn; always the same."""
    kinds = [(kind, mode) for kind, modes in MODES.items() for mode in modes]
    for number in range(count):
        random = np.random.default_rng([seed, number])
        kind, mode = kinds[number % len(kinds)]
        # Small, usual and elongated images, and some far larger than any network needs.
        size = tuple(int(side) for side in np.exp(random.uniform(0, np.log(1200), 2)).clip(1, 900))
        orientation = int(random.integers(1, 9)) if kind in ORIENTED else 1
        image = _in_mode(_drawn((size[0], size[1]), random), mode)
        file, exif = BytesIO(), Image.Exif()
        exif[ORIENTATION] = orientation
        options = {"exif": exif} if kind in ORIENTED else {}
        image.save(file, kind, **options)
        yield Scene(f"{kind} {mode} {size} orientation {orientation}", file.getvalue())


def _drawn(size: tuple[int, int], random: np.random.Generator) -> Image.Image:
    """RGBA, with transparent parts."""
    corners = random.integers(0, 256, (2, 2, 4), np.uint8)
    corners[..., 3] = 255
    image = Image.fromarray(corners, "RGBA").resize(size, Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = np.sort(random.integers(0, max(size) + 1, (2, 2)), axis=1).tolist()
        draw.ellipse((x[0], y[0], x[1], y[1]), fill=tuple(random.integers(0, 256, 4).tolist()))
    return image


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    if mode == "I;16":
        levels = np.asarray(image.convert("L")).astype(np.uint16) * 257
        return Image.fromarray(levels)
    if mode in ("RGBA", "LA"):
        return image.convert(mode)
    return image.convert("RGB").convert(mode)
