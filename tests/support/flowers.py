"""Images of a user's own: flowers of three colours, in a folder for each class."""

from pathlib import Path

import numpy as np

from tests.support.pictures import encoded

COLOURS = {"rose": (230, 60, 90), "sunflower": (250, 200, 20), "violet": (110, 60, 200)}


def checkout_with_flowers(root: Path, folder: Path, images: int) -> None:
    """Link what a clone at `root` has, without runs and models, into `folder`.

    Its path/to/flowers gets that many images of each class.
    """
    for path in root.iterdir():
        if path.name not in (".git", "runs", "models", "data"):
            (folder / path.name).symlink_to(path)
    flowers = folder / "path/to/flowers"
    for name in COLOURS:
        (flowers / name).mkdir(parents=True)
        for number in range(images):
            (flowers / name / f"{number}.png").write_bytes(flower(name, number))


def flower(name: str, number: int) -> bytes:
    """A blossom of the class's colour on a noisy meadow, as PNG."""
    random = np.random.default_rng([number, *map(ord, name)])
    pixels = random.normal((60, 140, 50), 25, (48, 64, 3))
    y, x = random.uniform(16, 32, 2)
    rows, columns = np.mgrid[:48, :64]
    pixels[(rows - y) ** 2 + (columns - x) ** 2 < random.uniform(60, 160)] = COLOURS[name]
    return encoded(pixels.clip(0, 255).astype(np.uint8))
