"""Colour images of any size train, and the run folder holds them as they are."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from contract.card import StretchPreparation
from training.api import Predictor
from training.data import DataSet, suited
from training.model import build
from training.recipe import BadRecipe, Recipe
from training.run import Run
from training.train import train_into

SHAPE = (24, 40, 3)
FEW = {"epochs": 4, "batch_size": 16, "width": 0.25, "threads": 1, "mixed_precision": False}


def colours(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Noise with a patch of red, green or blue in the middle."""
    random = np.random.default_rng(seed)
    pixels = random.integers(60, 140, (count, *SHAPE), np.uint8)
    labels = random.integers(0, 3, count).astype(np.uint8)
    for image, label in zip(pixels, labels, strict=True):
        image[6:18, 10:30, label] = 250
    return pixels, labels


@pytest.fixture(scope="module")
def data() -> DataSet:
    return DataSet(
        wanted="colours",
        name="colours",
        source="drawn",
        labels=("red", "green", "blue"),
        train=colours(160, seed=0),
        test=colours(40, seed=1),
        preparation=StretchPreparation(size=SHAPE[:2]),
        shape=SHAPE,
    )


@pytest.fixture(scope="module")
def run(data: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Run:
    recipe = Recipe.made_of(suited(data, None), FEW)
    return train_into(tmp_path_factory.mktemp("runs"), data, recipe)


def test_the_default_recipe_learns_colours(run: Run) -> None:
    checkpoint = run.checkpoint()
    assert checkpoint.network == "residual"
    assert checkpoint.evaluation.accuracy == 1


def test_the_run_holds_shape_preparation_and_images(run: Run, data: DataSet) -> None:
    checkpoint = run.checkpoint()
    assert (checkpoint.shape, checkpoint.preparation) == (SHAPE, data.preparation)
    pixels, labels = run.test_set()
    np.testing.assert_array_equal(pixels, data.test[0])
    np.testing.assert_array_equal(labels, data.test[1])
    assert run.calibration().shape[1:] == SHAPE


def test_the_training_loss_is_the_plain_cross_entropy(run: Run) -> None:
    last = run.metrics()["history"][-1]
    assert last["loss"] < 0.1  # label smoothing alone would make it larger


def test_a_predictor_prepares_images_as_the_checkpoint_says(run: Run, tmp_path: Path) -> None:
    Image.new("RGB", (400, 240), (90, 90, 250)).save(tmp_path / "blue.png")
    assert Predictor(run.folder).predict(tmp_path / "blue.png").label == "blue"


def test_options_for_ink_are_refused_for_other_images(data: DataSet, tmp_path: Path) -> None:
    recipe = Recipe.made_of(suited(data, None), FEW, {"spoiled": 0.1})
    with pytest.raises(BadRecipe, match="--spoiled is for gray images of 28x28, these are 24x40"):
        train_into(tmp_path, data, recipe)
    with pytest.raises(BadRecipe, match="compact is for gray images of 28x28"):
        train_into(tmp_path, data, Recipe(network="compact", spoiled=0, batch_size=16))


def test_pretrained_weights_may_be_of_other_colours_and_classes(
    run: Run, data: DataSet, tmp_path: Path
) -> None:
    own = build("residual", classes=3, shape=SHAPE, width=0.25)
    checkpoint = run.checkpoint()
    options = FEW | {"epochs": 1, "pretrained": str(run.folder / "checkpoint.pt")}
    recipe = Recipe.made_of(suited(data, None), options, {"learning_rate": 1e-6})
    again = train_into(tmp_path, data, recipe).checkpoint()
    assert again.evaluation.accuracy == 1
    assert own.state_dict().keys() == checkpoint.weights.keys() == again.weights.keys()
