"""The requests send the test digits of the current version, cropped from its sheet."""

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from contract.store import Store
from contract.version import Version
from loadtest.client.requests import SampleImages
from loadtest.errors import CannotMeasure
from loadtest.host.processes import ROOT


def test_every_digit_of_the_sheet_becomes_a_png(
    published: tuple[Store, Version], version: Version
) -> None:
    images = SampleImages.of_current(published[0].folder.parent, "digits")
    sheet = cv2.imread(str(version.folder / "samples.png"), cv2.IMREAD_GRAYSCALE)
    assert sheet is not None
    assert len(images.files) == len(images.labels) == len(images.pixels) == 100
    for at in (0, 9, 10, 99):
        y, x = at // 10 * 28, at % 10 * 28
        decoded: Any = cv2.imdecode(np.frombuffer(images.files[at], np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(decoded, sheet[y : y + 28, x : x + 28])
        assert np.array_equal(decoded, images.pixels[at])
    assert images.graph == version.folder / "model.onnx"


def test_batches_use_the_digits_in_turn(published: tuple[Store, Version]) -> None:
    images = SampleImages.of_current(published[0].folder.parent, "digits")
    batch = images.batch(130)
    assert batch.shape == (130, 28, 28)
    assert np.array_equal(batch[100:], images.pixels[:30])


def test_a_missing_version_is_an_error(published: tuple[Store, Version], tmp_path: Path) -> None:
    with pytest.raises(CannotMeasure, match="no model version"):
        SampleImages.of_current(tmp_path, "digits")
    shutil.copytree(published[0].folder, tmp_path / "digits")
    (tmp_path / "digits/1/samples.png").write_bytes(b"no image")
    with pytest.raises(CannotMeasure, match=r"samples\.png cannot be read"):
        SampleImages.of_current(tmp_path, "digits")


def test_images_in_colour_are_posted_as_pngs_or_as_jpegs_of_another_size(tmp_path: Path) -> None:
    folder = tmp_path / "skies/1"
    folder.mkdir(parents=True)
    (folder.parent / "current").write_text("1")
    facts = json.loads((ROOT / "tests/fixtures/models/digits/1/card.json").read_text())
    facts["input"]["shape"] = ["n", 10, 20, 3]
    preparation = {"kind": "stretch", "size": [10, 20]}
    card = facts | {"schema_version": 4, "preparation": preparation, "imported": None}
    (folder / "card.json").write_text(json.dumps(card))
    sheet = np.zeros((10, 40, 3), np.uint8)
    sheet[:, 20:] = 250, 140, 90  # BGR
    cv2.imwrite(str(folder / "samples.png"), sheet)
    sizes = {"height": 10, "width": 20, "columns": 2}
    (folder / "samples.json").write_text(json.dumps(sizes | {"labels": ["night", "day"]}))

    images = SampleImages.of_current(tmp_path, "skies")
    assert images.pixels.shape == (2, 10, 20, 3)
    assert (images.pixels[1] == [90, 140, 250]).all()
    prepared = images.prepare.file(images.files[1], max_pixels=784)
    assert np.array_equal(prepared, images.pixels[1])
    photos = images.as_jpegs(64, 48)
    assert b"Content-Type: image/jpeg" in photos.requests[1]
    photo = cv2.imdecode(np.frombuffer(photos.files[1], np.uint8), cv2.IMREAD_UNCHANGED)
    assert photo is not None
    assert photo.shape == (48, 64, 3)
    assert np.abs(photo.astype(int) - [250, 140, 90]).max() < 6
