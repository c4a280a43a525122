"""Runs on images of any size, colour and number of classes are exported as those on digits."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from contract.card import DataFacts, PhotoPreparation
from contract.store import Store
from contract.version import Version
from export.artifacts import ARTIFACTS
from export.export import export
from export.proof import Predictions
from export.runners import onnx_runtime
from export.samples import write_golden, write_samples
from export.scenes import draw
from preprocessing.preparation import preparer_of
from training.checkpoint import Checkpoint
from training.evaluate import judge
from training.model import build
from training.run import Run

LABELS = tuple(f"class {number}" for number in range(300))  # more than a byte counts
SHAPE = (40, 36, 3)


def trained(folder: Path, shape: tuple[int, ...]) -> Run:
    """A run whose network has random weights."""
    torch.manual_seed(0)
    network = build("residual", classes=len(LABELS), shape=shape, width=0.125).eval()
    pixels = draw(60, shape)
    labels = np.linspace(0, len(LABELS) - 1, 60).astype(np.uint16)
    inputs = torch.from_numpy(pixels), torch.from_numpy(labels.astype(np.int64))
    judged = judge(network, *inputs, 1.0, LABELS)
    checkpoint = Checkpoint(
        weights=network.state_dict(),
        recipe={"network": "residual", "dropout1": 0.0, "dropout2": 0.0, "width": 0.125},
        labels=LABELS,
        temperature=1.0,
        data_set=DataFacts(name="drawn", source="drawn", train=0, validation=0, test=60),
        evaluation=judged.evaluation(),
        preparation=PhotoPreparation(resize=46, size=(shape[0], shape[1])),
        shape=shape,
        git_commit=None,
        libraries={},
    )
    run = Run(folder / "run")
    run.folder.mkdir()
    run.complete(checkpoint, (pixels, labels), None, pixels, trained_on=[], history=[])
    return run


@pytest.fixture(scope="module")
def colour(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Version]:
    folder = tmp_path_factory.mktemp("colour")
    run = trained(folder, SHAPE)
    return run, export(run, Store(folder, "own"), artifacts=("onnx",))


def test_the_card_names_shape_preparation_and_labels(colour: tuple[Run, Version]) -> None:
    card = colour[1].card
    assert card.shape == SHAPE
    assert card.preparation == PhotoPreparation(resize=46, size=(40, 36))
    assert card.labels == LABELS
    assert card.parity["model.onnx"].largest_difference <= 1e-4


def test_the_samples_have_the_size_and_colours_of_the_input(colour: tuple[Run, Version]) -> None:
    run, version = colour
    facts = json.loads(version.read("samples.json"))
    size = {"height": 40, "width": 36, "channels": 3, "columns": 10}
    assert {**facts, "labels": None} == {**size, "labels": None}
    sheet = np.asarray(Image.open(version.folder / "samples.png"))
    assert sheet.shape == (6 * 40, 10 * 36, 3)
    pixels, labels = run.test_set()
    assert np.array_equal(sheet[40:80, 72:108], pixels[12])
    assert facts["labels"][12] == LABELS[labels[12]]


def test_the_sample_is_prepared_to_the_pixels_that_were_tested(
    colour: tuple[Run, Version],
) -> None:
    run, version = colour
    prepare = preparer_of(version.card.preparation, version.card.shape)
    file = (version.folder / "sample.png").read_bytes()
    assert np.array_equal(prepare.file(file, max_pixels=10**6), run.test_set()[0][0])


def test_the_golden_set_holds_images_in_colour(colour: tuple[Run, Version]) -> None:
    version = colour[1]
    with np.load(version.folder / "golden.npz") as golden:
        pixels, logits = golden["pixels"], golden["logits"]
    assert pixels.shape == (60, *SHAPE)
    found, _ = onnx_runtime(version.folder / "model.onnx")(pixels)
    np.testing.assert_allclose(found, logits, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(40, 36), SHAPE], ids=["gray", "colour"])
def test_every_artifact_is_proven(shape: tuple[int, ...], tmp_path: Path) -> None:
    card = export(trained(tmp_path, shape), Store(tmp_path, "own")).card
    assert {*card.parity} | {*card.left_out} == {each.file for each in ARTIFACTS.values()}
    for name in ("model.onnx", "model.ts", "model.pt2"):
        assert card.parity[name].largest_difference <= 1e-4


def test_sheets_and_golden_sets_of_large_images_hold_fewer(tmp_path: Path) -> None:
    pixels = np.zeros((70, 512, 512, 3), np.uint8)
    labels = np.zeros(70, np.uint8)
    prepare = preparer_of(PhotoPreparation(resize=520, size=(512, 512)), (512, 512, 3))
    write_samples(tmp_path, pixels, labels, ("one", "two"), prepare)
    assert len(json.loads((tmp_path / "samples.json").read_text())["labels"]) == 5  # 4 MiB
    rows = np.zeros((70, 2), np.float32)
    write_golden(tmp_path, pixels, labels, Predictions(rows, rows))
    with np.load(tmp_path / "golden.npz") as golden:
        assert golden["pixels"].shape == (20, 512, 512, 3)  # 15 MiB
