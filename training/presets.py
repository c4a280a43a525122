"""Named recipes, and what suits images of other kinds: the values that differ from the default."""

from collections.abc import Sequence
from typing import Any

from training.model import GRAY_28

PRESETS: dict[str, dict[str, Any]] = {
    # For a first try: 99.5 % accuracy in half a minute of CPU time.
    "quick": {
        "epochs": 3,
        "rotation": 0.0,
        "scale": 0.0,
        "shear": 0.0,
        "shift": 1.0,
        "spoiled": 0.0,
        "plain_epochs": 1,
    },
    "default": {},
    # The network of `best` with the default's augmentation.
    "better": {"network": "deep"},
    # For the last tenth of a percent: 11 minutes of CPU time.
    "best": {
        "network": "deep",
        "epochs": 32,
        "rotation": 12.0,
        "scale": 0.12,
        "aspect": 0.1,
        "shear": 0.15,
        "shift": 2.0,
        "elastic": 0.4,
        "spoiled": 0.03,
    },
}

# What suits images that are not gray 28x28.
PHOTOS: dict[str, Any] = {
    "network": "residual",
    "epochs": 20,
    "batch_size": 256,
    "optimiser": "sgd",
    "weight_decay": 5e-4,
    "rotation": 0.0,
    "scale": 0.0,
    "shear": 0.0,
    "shift": 0.0,
    "spoiled": 0.0,
    "crop": 0.1,
    "plain_epochs": 0,
    "teacher_network": "residual",
    "teacher_width": 1.0,
}


# What suits fewer than FEW of them, in addition: more steps an epoch, and more variation.
FEW = 10_000
FEW_PHOTOS: dict[str, Any] = {
    "epochs": 25,
    "batch_size": 64,
    "rotation": 10.0,
    "scale": 0.1,
    "colour": 0.2,
    "cutout": 0.25,
}


def suggested(shape: tuple[int, ...], labels: Sequence[str], images: int) -> dict[str, Any]:
    """The options that suit so many training images of `shape`, (h, w) or (h, w, 3).

    Colour images are mirrored, unless the classes are single characters: a mirrored b is a d.
    """
    if shape == GRAY_28:
        return {}
    mirrored = len(shape) == 3 and not all(len(label) == 1 for label in labels)
    few = FEW_PHOTOS if images < FEW else {}
    return PHOTOS | few | {"flip": 0.5 if mirrored else 0.0}
