"""Digits drawn with various pens: varied, reproducible, legible, and counted by correctness."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from contract.store import Store
from contract.version import Version
from loadtest.drawings.__main__ import drawings, main
from loadtest.drawings.papers import APART, SAME_LIGHT, colours
from loadtest.drawings.pens import PAPERS, PENS, SHEETS, drawn
from loadtest.drawings.strokes import Lines, thinned
from tests.support.written import written_digits

DIGITS, LABELS = written_digits()
KNOWN = (DIGITS, [str(label) for label in LABELS])


def test_a_bar_is_thinned_to_a_line_and_a_ring_stays_a_ring() -> None:
    bar = np.zeros((20, 60), np.bool_)
    bar[6:15, 5:55] = True
    line = thinned(bar)
    assert line.sum(0).max() == 1
    assert line.sum() > 35
    ring = cv2.circle(np.zeros((60, 60), np.uint8), (30, 30), 18, 1, 9) > 0
    thin = thinned(ring)
    assert thin.sum() < ring.sum() / 5
    assert cv2.connectedComponents((~thin).astype(np.uint8), connectivity=4)[0] == 3  # in, out


def test_strokes_follow_the_shape() -> None:
    likenesses = []
    for digit in DIGITS[:30]:
        left, top, width, height = cv2.boundingRect((digit > 100).astype(np.uint8))
        lines, length = Lines.of(digit), max(width, height) - 3
        room = np.array([width, height]) - lines.size * length
        redrawn = lines.coverage((28, 28), np.array([left, top]) + room / 2, length, 3)
        likenesses.append(np.corrcoef(redrawn.ravel(), digit.ravel())[0, 1])
    assert np.mean(likenesses) > 0.7


def test_every_kind_is_drawn_as_a_valid_image() -> None:
    generator = np.random.default_rng(0)
    drawings_ = [drawn(digit, generator) for digit in DIGITS[:100]]
    assert {each.pen for each in drawings_} == set(PENS)
    assert {each.paper for each in drawings_} == set(PAPERS)
    assert {each.sheet for each in drawings_} == set(SHEETS)
    for each in drawings_:
        (low, high), _ = SHEETS[each.sheet]
        assert low <= max(each.raster.shape[:2]) <= high
        assert each.raster.dtype == np.uint8
        assert (each.raster.ndim == 3 and each.raster.shape[2] == 4) == (
            each.paper == "transparent"
        )
        assert np.ptp(each.raster[..., 3] if each.paper == "transparent" else each.raster) > 60


def test_the_same_seed_draws_the_same_images() -> None:
    one, other = (list(drawings(KNOWN, 5, seed=3)) for _ in range(2))
    assert [each.body for each in one] == [each.body for each in other]
    assert [each.body for each in one] != [each.body for each in drawings(KNOWN, 5, seed=4)]


def test_ink_is_visible_on_coloured_paper() -> None:
    generator = np.random.default_rng(0)
    for kind in ("coloured", "equally light"):
        for _ in range(30):
            paper, ink = colours(generator, kind)
            assert np.linalg.norm(paper - ink) >= APART
            gray = abs(float((paper - ink) @ [0.114, 0.587, 0.299]))
            assert kind == "coloured" or gray <= SAME_LIGHT + 0.01


@pytest.fixture
def words(published: tuple[Store, Version], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.delenv("MNIST_DIR", raising=False)
    return ["--models", str(published[0].folder.parent), "--count", "24"]


@pytest.mark.slow
def test_the_command_counts_by_kind_and_saves_a_contact_sheet(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "sheet.png"
    assert main([*words, "--at-least", "0.3", "--sheet", str(sheet)]) == 0
    reported = capsys.readouterr().out
    assert " of 24 drawn digits right" in reported
    for kind in ("pen", "paper", "sheet", "place", "file"):
        assert f"\n{kind} " in reported
    shown = cv2.imread(str(sheet))
    assert shown is not None
    assert shown.std() > 20


@pytest.mark.slow
def test_too_few_correct_predictions_are_a_failure(words: list[str]) -> None:
    assert main([*words, "--at-least", "100%"]) == 1


def test_without_test_digits_nothing_is_started(
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MNIST_DIR", str(tmp_path))
    assert main(words) == 1
    assert f"no test digits in MNIST_DIR={tmp_path}" in capsys.readouterr().err
