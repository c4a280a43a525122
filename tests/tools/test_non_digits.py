"""Images that are no digit are classified, and those that the model is sure of are counted."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from contract.version import Version
from tests.support.classifiers import publish_and_activate
from tests.support.running import ROOT
from tools.non_digits import main

MODELS = str(ROOT / "tests/fixtures/models")
DRAWN = ["--data", "digits", "--count", "100"]


def test_drawn_images_and_those_of_a_folder_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = np.indices((60, 60))
    stripes = np.where(rows[0] % 12 < 6, 0, 255).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "stripes.png"), stripes)
    cv2.imwrite(str(tmp_path / "blank.png"), np.full((60, 60), 255, np.uint8))
    (tmp_path / "text.jpg").write_bytes(b"no image")
    assert main([str(tmp_path), "--side", "28", "--models", MODELS, *DRAWN]) == 0
    printed = capsys.readouterr().out
    assert re.search(rf"^{tmp_path.name} +3 +2 +[01] ", printed, re.MULTILINE)
    counts = dict(re.findall(r"^(.*?) {2,}([\d,]+) ", printed, re.MULTILINE))
    assert int(counts["all"]) == 103
    assert int(counts["printed letters"]) > int(counts["pieces of digits"]) > 0
    assert "of the 360 test digits are uncertain" in printed


def test_a_model_that_is_sure_of_more_than_allowed_fails(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--models", MODELS, *DRAWN, "--at-most", "0.1"]) == 1
    assert "sure is a confidence of 0.0000 or more" in capsys.readouterr().out


def test_mistakes_are_reported_in_a_sentence(
    tmp_path: Path, version: Version, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_and_activate(tmp_path / "models", version, "colours")
    other = ["--models", str(tmp_path / "models"), "--name", "colours"]
    assert main([*other, *DRAWN]) == 2
    assert "colours 1 is not a model of the ten digits" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / "empty"), "--models", MODELS, *DRAWN]) == 2
    assert "empty has no images" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--count", "0"], "--count: '0' is not a whole number of 1 or more"),
        (["--side", "-1"], "--side: '-1' is not a whole number of 1 or more"),
        (["--at-most", "30"], "--at-most: '30' is not a share from 0 to 1"),
    ],
)
def test_numbers_out_of_bounds_are_refused(
    words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert reason in capsys.readouterr().err
