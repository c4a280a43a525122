"""The requests send the test digits of the current version, cropped from its sheet."""

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from contract.store import Store
from contract.version import Version
from loadtest.client.requests import Pictures
from loadtest.errors import CannotMeasure


def test_every_digit_of_the_sheet_becomes_a_png(
    published: tuple[Store, Version], version: Version
) -> None:
    pictures = Pictures.of_current(published[0].folder.parent, "digits")
    sheet = cv2.imread(str(version.folder / "samples.png"), cv2.IMREAD_GRAYSCALE)
    assert sheet is not None
    assert len(pictures.pngs) == len(pictures.labels) == len(pictures.pixels) == 100
    for at in (0, 9, 10, 99):
        y, x = at // 10 * 28, at % 10 * 28
        decoded: Any = cv2.imdecode(
            np.frombuffer(pictures.pngs[at], np.uint8), cv2.IMREAD_UNCHANGED
        )
        assert np.array_equal(decoded, sheet[y : y + 28, x : x + 28])
        assert np.array_equal(decoded, pictures.pixels[at])
    assert pictures.graph == version.folder / "model.onnx"


def test_batches_use_the_digits_in_turn(published: tuple[Store, Version]) -> None:
    pictures = Pictures.of_current(published[0].folder.parent, "digits")
    batch = pictures.batch(130)
    assert batch.shape == (130, 28, 28)
    assert np.array_equal(batch[100:], pictures.pixels[:30])


def test_a_missing_version_is_an_error(published: tuple[Store, Version], tmp_path: Path) -> None:
    with pytest.raises(CannotMeasure, match="no model version"):
        Pictures.of_current(tmp_path, "digits")
    shutil.copytree(published[0].folder, tmp_path / "digits")
    (tmp_path / "digits/1/samples.png").write_bytes(b"no picture")
    with pytest.raises(CannotMeasure, match=r"samples\.png cannot be read"):
        Pictures.of_current(tmp_path, "digits")
