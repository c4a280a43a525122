"""The versions shown by the page in tests: real networks that are trained quickly, offline."""

import shutil
from pathlib import Path

import numpy as np

from contract.store import Store
from export.export import export
from tests.fixtures import MODELS
from tests.support.versions import LETTERS, publish
from training.data import DIGITS, DataSet
from training.embedded import written_digits
from training.recipe import Recipe
from training.strokes import drawn_digits
from training.train import train_into

DRAWN = 1500
# Recognises the digits of `shapes`, and holds out enough images for an acceptance threshold.
RECIPE = Recipe(
    epochs=3, rotation=0, scale=0, shear=0, shift=0, spoiled=0, validation=0.1, threads=1
)


def three_versions(folder: Path) -> Store:
    """1 is the committed version, which makes some errors; 2 serves; 3 has letters as labels."""
    shutil.copytree(MODELS, folder / "models")
    store = Store(folder / "models", "digits")
    learned = train_into(folder / "runs", drawn_and_written(), RECIPE)
    publish(store, export(learned, store, artifacts=("onnx", "ts")), labels=LETTERS)
    return store


def drawn_and_written() -> DataSet:
    """Fewer digits than the embedded data set, which take less time to learn."""
    written, digits = written_digits()
    drawn, drawn_as = drawn_digits(DRAWN, seed=0)
    test = np.arange(len(digits)) % 5 == 0
    return DataSet(
        wanted="small",
        name="digits",
        source="scikit-learn",
        labels=DIGITS,
        train=(
            np.concatenate([written[~test], drawn]),
            np.concatenate([digits[~test], drawn_as]),
        ),
        test=(written[test], digits[test]),
    )
