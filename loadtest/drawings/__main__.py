"""Draw MNIST's test digits with other pens, post them, count: python -m loadtest.drawings

Each is drawn anew on paper, screen or transparent canvas (see `pens`), posted as PNG or JPEG to a
real service, and counted as right, wrong or refused. The digits are those of MNIST_DIR's test set,
without it those of the current version's samples.png. The exit code is 1 if fewer are right than
--at-least. DIGITSERVE_ variables are passed on to the service.
"""

import asyncio
import gzip
import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from loadtest.arguments import file, fraction, parse, parser
from loadtest.client.asyncio_client import Connection
from loadtest.client.requests import PREDICT, SampleImages, post
from loadtest.client.result import Address
from loadtest.drawings.gallery import Gallery
from loadtest.drawings.pens import PHOTOS, Drawing, drawn
from loadtest.errors import CannotMeasure
from loadtest.host.machine import settings_handed_on
from loadtest.target import targets
from loadtest.target.server import started

Shapes = tuple[NDArray[np.uint8], list[str]]  # pixels (n, 28, 28), 255 = ink, and their labels

IMAGES, LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
HEADER = {IMAGES: 16, LABELS: 8}  # bytes before the content
QUALITIES = 60, 95  # of JPEG, both included


@dataclass(frozen=True)
class Posted:
    """A drawing as a file, with its label."""

    drawing: Drawing
    label: str
    kind: str  # png or jpeg
    body: bytes

    @property
    def request(self) -> bytes:
        return post(PREDICT, self.body, {"Content-Type": f"image/{self.kind}"})


def main(words: list[str] | None = None) -> int:
    arguments = parse(_parser(), words)
    try:
        right = measured(arguments)
    except CannotMeasure as error:
        print(f"drawn: {error}", file=sys.stderr)
        return 1
    return int(right < arguments.at_least)


def measured(arguments: Namespace) -> float:
    """The share that was read right."""
    images = SampleImages.of_current(arguments.models, arguments.name)
    folder = os.environ.get("MNIST_DIR")
    known = mnist(Path(folder)) if folder else (images.pixels, images.labels)
    target = targets.service(arguments.models, arguments.name, settings_handed_on())
    gallery = Gallery()
    with started(target, probe=images.requests[0]) as running:
        posts = drawings(known, arguments.count, arguments.seed)
        asyncio.run(_post(running.address, posts, gallery))
    print(gallery.summary())
    if arguments.sheet:
        gallery.write(arguments.sheet)
    return gallery.right


def mnist(folder: Path) -> Shapes:
    """The test set in a folder with MNIST's files, plain or .gz; CannotMeasure without them."""

    def content(name: str) -> NDArray[np.uint8]:
        packed = folder / f"{name}.gz"
        plain = not packed.exists()
        raw = (folder / name).read_bytes() if plain else gzip.decompress(packed.read_bytes())
        return np.frombuffer(raw, np.uint8, offset=HEADER[name])

    try:
        return content(IMAGES).reshape(-1, 28, 28), [str(label) for label in content(LABELS)]
    except (OSError, EOFError, ValueError) as error:
        raise CannotMeasure(f"no test digits in MNIST_DIR={folder}: {error}") from error


def drawings(known: Shapes, count: int, seed: int) -> Iterator[Posted]:
    """Every digit once before any is drawn twice; the same for the same seed."""
    generator = np.random.default_rng(seed)
    pixels, labels = known
    order = np.concatenate(
        [generator.permutation(len(pixels)) for _ in range(0, count, len(pixels))]
    )
    for index in order[:count]:
        drawing = drawn(pixels[index], generator)
        kind = "jpeg" if drawing.paper in PHOTOS and generator.random() < 0.5 else "png"
        quality = int(generator.integers(*QUALITIES, endpoint=True))
        how = [cv2.IMWRITE_JPEG_QUALITY, quality] if kind == "jpeg" else []
        body = cv2.imencode(f".{kind}", drawing.raster, how)[1].tobytes()
        yield Posted(drawing, labels[index], kind, body)


async def _post(address: Address, posts: Iterator[Posted], gallery: Gallery) -> None:
    connection = await Connection.to(address)
    for each in posts:
        answer = await connection.send(each.request)
        found = json.loads(answer.body)
        read = found["predictions"][0]["label"] if answer.status == 200 else str(answer.status)
        kinds = {**each.drawing.kinds, "file": each.kind}
        gallery.add(each.body, label=each.label, read=read, kinds=kinds)
    await connection.close()


def _parser() -> ArgumentParser:
    made = parser("loadtest.drawings", __doc__)
    add, sheet = (
        made.add_argument,
        "draw a sheet of drawings before and after preprocessing, failures first",
    )
    add("--count", type=int, default=2000, help="number of drawings; default: 2000")
    add("--seed", type=int, default=0, help="seed of pens, papers and places; default: 0")
    add("--at-least", type=fraction, default=0.97, help="share that must be right; default: 0.97")
    add("--sheet", type=file(), metavar="FILE.png", help=sheet)
    return made


if __name__ == "__main__":
    sys.exit(main())
