"""A folder of labelled images is classified, and what is misread is counted and drawn."""

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from contract.version import Version
from tests.support.classifiers import COLOURS, publish_and_activate
from tests.support.running import ROOT
from tools.wild import main

DIGITS = str(ROOT / "tests/fixtures/models")
EACH = 4  # images of each colour
BGR = {"red": (40, 40, 250), "green": (40, 250, 40), "blue": (250, 40, 40)}


@pytest.fixture
def models(tmp_path: Path, version: Version) -> str:
    """A store with a model that names the colour that an image has most of."""
    publish_and_activate(tmp_path / "models", version, "colours")
    return str(tmp_path / "models")


def write(folder: Path, *, wrong: int = 0) -> Path:
    """Images in a folder for each label; the first `wrong` red ones are in that of green."""
    for colour in COLOURS:
        for number in range(EACH):
            place = folder / ("green" if colour == "red" and number < wrong else colour)
            place.mkdir(parents=True, exist_ok=True)
            image = np.full((40, 50, 3), BGR[colour], np.uint8)
            cv2.imwrite(str(place / f"{colour}-{number}.png"), image)
    return folder


def run(folder: Path, models: str, *words: str) -> int:
    return main([str(folder), "--models", models, "--name", "colours", *words])


def test_right_and_misread_images_are_counted_and_drawn(
    tmp_path: Path, models: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, sheet = write(tmp_path / "images", wrong=3), tmp_path / "misread.png"
    assert run(folder, models, "--sheet", str(sheet), "--at-least", "0.7") == 0
    printed = capsys.readouterr().out
    assert "9 of 12 images are classified correctly, 75.00%" in printed
    assert "3 misread images" in printed
    assert cv2.imread(str(sheet)) is not None
    assert run(folder, models, "--at-least", "0.8") == 1


def test_images_that_are_refused_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "3").mkdir()
    cv2.imwrite(str(tmp_path / "3" / "blank.png"), np.full((50, 50), 255, np.uint8))
    (tmp_path / "3" / "text.png").write_bytes(b"no image")
    assert main([str(tmp_path), "--models", DIGITS, "--at-least", "0.5"]) == 1
    printed = capsys.readouterr()
    assert "0 of 2 images" in printed.out
    assert "blank.png: the image is blank" in printed.err
    assert "text.png: " in printed.err


def test_a_table_names_the_sources(
    tmp_path: Path, models: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path / "images", wrong=1)
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", "source"])
        for each in sorted(folder.glob("*/*.png")):
            source = "mine" if each.name == "red-0.png" else "yours"
            writer.writerow([each.relative_to(folder), each.parent.name, source])
    run(folder, models)
    assert "mean over 2 sources: 50.00%" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: folder.mkdir(), "neither folders of images nor labels.csv"),
        (
            lambda folder: write(folder).joinpath("labels.csv").write_text("name,label\n"),
            "no column file",
        ),
        (lambda folder: (folder / "mauve").mkdir(parents=True), "neither folders of images"),
        (
            lambda folder: write(folder).joinpath("labels.csv").write_text("file,label\na,mauve\n"),
            "the label 'mauve', the model has only red, green, blue",
        ),
    ],
)
def test_what_is_wrong_with_a_folder_is_reported(
    make: Callable[[Path], object],
    reason: str,
    tmp_path: Path,
    models: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make(tmp_path / "images")
    with pytest.raises(SystemExit):
        run(tmp_path / "images", models)
    assert reason in capsys.readouterr().err


def test_a_share_above_one_is_refused(
    tmp_path: Path, models: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(tmp_path, models, "--at-least", "95")
    assert "'95' is not a share from 0 to 1, such as 0.1%" in capsys.readouterr().err
