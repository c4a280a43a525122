"""A test digit as somebody would draw it on a page: dark strokes on a light canvas, as JPEG."""

import random
from io import BytesIO

from PIL import Image, ImageOps

from loadtest.users.digit import Digit

CANVAS = 200, 360  # pixels, least and most
SIZE = 0.5, 0.85  # of the canvas, that the digit's own square takes
PAPER, INK = (225, 255), (0, 60)  # shades of gray
EDGE = 96  # ink that belongs to a stroke, of 255
QUALITY = 85


def jpeg_of(digit: Digit) -> bytes:
    """The same for the same digit; every second one is off-centre."""
    chance = random.Random(digit.number)  # noqa: S311
    side = chance.randint(*CANVAS)
    size = int(side * chance.uniform(*SIZE))
    smooth = digit.picture.resize((size, size), Image.Resampling.BICUBIC)
    stroke = smooth.point([max(0, min(255, (level - EDGE) * 4)) for level in range(256)])
    dark = ImageOps.colorize(
        stroke, black=(chance.randint(*PAPER),) * 3, white=(chance.randint(*INK),) * 3
    )
    canvas = Image.new("RGB", (side, side), dark.getpixel((0, 0)))
    room = side - size
    middle = (room // 2, room // 2)
    place = (chance.randint(0, room), chance.randint(0, room)) if digit.number % 2 else middle
    canvas.paste(dark, place)
    file = BytesIO()
    canvas.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
