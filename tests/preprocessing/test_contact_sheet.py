"""The sheet that shows the network's input for any files."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from preprocessing.contact_sheet import SIDE, main
from tests.support.pictures import encoded, seven
from tests.support.running import ROOT


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


def test_with_a_card_an_image_is_shown_as_that_model_sees_it(tmp_path: Path) -> None:
    facts = json.loads((ROOT / "tests/fixtures/models/digits/1/card.json").read_text())
    facts["input"]["shape"] = ["n", 32, 32, 3]
    letterbox = {"kind": "letterbox", "size": [32, 32], "fill": 0}
    facts |= {"schema_version": 4, "preparation": letterbox, "imported": None}
    card, image, out = (tmp_path / name for name in ("card.json", "sky.png", "sheet.png"))
    card.write_text(json.dumps(facts))
    cv2.imwrite(str(image), np.full((40, 80, 3), (250, 140, 90), np.uint8))
    assert main([str(image), "--out", str(out), "--card", str(card)]) == 0
    sheet = cv2.imread(str(out))
    assert sheet is not None
    middle = SIDE + SIDE // 2
    assert sheet[SIDE // 2, middle].tolist() == [250, 140, 90]
    assert sheet[4, middle].tolist() == [0, 0, 0]  # the fill above it

    card.write_text("{}")
    with pytest.raises(SystemExit):
        main([str(image), "--out", str(out), "--card", str(card)])


def test_an_unwritable_sheet_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(seven()))
    with pytest.raises(SystemExit):
        main([str(tmp_path / "a.png"), "--out", str(tmp_path / "missing" / "sheet.png")])
