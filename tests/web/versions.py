"""The versions shown by the page in tests: real networks that are trained quickly, offline.

Those of images are not trained: see `tests.support.classifiers`.
"""

import shutil
from pathlib import Path

import numpy as np
import onnxruntime

from contract.card import INPUT, LOGITS, ONNX, PROBABILITIES, StretchPreparation
from contract.store import Store
from contract.version import Version
from export.export import export
from export.judged_images import RunImages
from export.judging import judge
from export.proof import Predictions
from export.samples import write_mistakes, write_samples
from preprocessing.preparation import preparer_of
from tests.fixtures import MODELS
from tests.support.versions import LETTERS, publish
from training.checkpoint import Images
from training.data import DIGITS, DataSet
from training.embedded import written_digits
from training.hands import drawn_digits
from training.recipe import Recipe
from training.train import train_into

DRAWN = 1500
IMAGES = 20
# Recognises the digits of `shapes`, and holds out enough images for an acceptance threshold.
RECIPE = Recipe(
    epochs=8, rotation=0, scale=0, shear=0, shift=0, spoiled=0, validation=0.1, threads=1
)


def three_versions(folder: Path) -> Store:
    """1 is the committed version, which makes some errors; 2 serves; 3 has letters as labels."""
    shutil.copytree(MODELS, folder / "models")
    store = Store(folder / "models", "digits")
    learned = train_into(folder / "runs", drawn_and_written(), RECIPE)
    publish(store, export(learned, store, artifacts=("onnx", "ts")), labels=LETTERS)
    return store


def publish_judged(store: Store, version: Version, test: Images) -> Version:
    """Publish a copy of `version`, judged beside the current one on these images."""
    with store.draft() as draft:
        for name in version.card.files:
            shutil.copy(version.folder / name, draft)
        own = RunImages(test=test, stored=test[0])
        gate = judge(draft, version.card, store, own, store.folder)
        return store.publish(draft, version.card.model_copy(update={"gate": gate}))


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


def write_sheets(draft: Path, labels: tuple[str, ...], size: tuple[int, int]) -> None:
    """Sheets of noisy images of any colour, for a version that is not published yet.

    Their labels are what the model predicts, except for two on the sheet of mistakes.
    """
    random = np.random.default_rng(0)
    colours = random.integers(40, 216, (IMAGES, 1, 1, 3))
    noise = random.integers(-40, 40, (IMAGES, *size, 3))
    pixels = (colours + noise).astype(np.uint8)  # (n, h, w, 3)
    session = onnxruntime.InferenceSession(draft / ONNX)
    predictions = Predictions(*session.run([LOGITS, PROBABILITIES], {INPUT: pixels}))
    prepare = preparer_of(StretchPreparation(size=size), pixels.shape[1:])
    write_samples(draft, pixels, predictions.classes, labels, prepare)
    wrong = predictions.classes.copy()
    wrong[:2] = (wrong[:2] + 1) % len(labels)
    write_mistakes(draft, pixels, wrong, labels, predictions)
