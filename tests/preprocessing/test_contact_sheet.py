"""The sheet that shows the network's input for any files."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from preprocessing.contact_sheet import SIDE, main
from tests.support.pictures import encoded, seven


def test_each_image_is_shown_beside_its_normalized_form(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("dark.png", "blank.png", "none.png")]
    files[0].write_bytes(encoded(seven()))
    files[1].write_bytes(encoded(np.full((50, 50), 200, np.uint8)))
    files[2].write_bytes(b"no picture")
    out = tmp_path / "sheet.png"
    assert main([*map(str, files), "--out", str(out), "--columns", "1"]) == 0
    sheet = cv2.imread(str(out), cv2.IMREAD_GRAYSCALE)
    assert sheet is not None
    tile = sheet[: len(sheet) // 3]
    assert tile[2, 2] == 255  # the original background
    assert tile[2, SIDE + 10] == 0  # and its normalized form


def test_an_unwritable_sheet_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(seven()))
    with pytest.raises(SystemExit):
        main([str(tmp_path / "a.png"), "--out", str(tmp_path / "missing" / "sheet.png")])
