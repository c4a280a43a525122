"""Images that are no digit: what is drawn, for which data, and for which use."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from preprocessing.digits.normalize import are_normalized
from tests.training.conftest import OPTIONS
from training.data import DataSet, embedded, suited
from training.letters import FONTS, WAYS
from training.non_digits import KINDS, draw_non_digits
from training.place import Place
from training.recipe import BadRecipe, Recipe
from training.run import Run
from training.task import task_of
from training.train import train_into

CPU = Place(torch.device("cpu"))


def test_all_kinds_are_drawn_in_their_shares_as_the_service_prepares_images(
    small_data: DataSet,
) -> None:
    drawn = draw_non_digits(400, "training", small_data.train)
    assert drawn.pixels.shape == (400, 28, 28)
    assert np.mean(are_normalized(drawn.pixels)) > 0.9
    for kind, (share, _) in KINDS.items():
        assert drawn.kinds.count(kind) / 400 == pytest.approx(share, abs=0.07)


def test_the_same_arguments_give_the_same_images(small_data: DataSet) -> None:
    first, same = (draw_non_digits(50, "test", small_data.test).pixels for _ in range(2))
    assert np.array_equal(first, same)
    other_seed = draw_non_digits(50, "test", small_data.test, seed=1).pixels
    other_use = draw_non_digits(50, "validation", small_data.test).pixels
    assert not np.array_equal(first, other_seed)
    assert not np.array_equal(first, other_use)


@pytest.mark.parametrize("letters", [FONTS, WAYS], ids=["fonts", "skeletons"])
def test_letters_of_different_uses_are_different(letters: dict[str, tuple[str, ...]]) -> None:
    for one, other in combinations(letters.values(), 2):
        assert not {*one} & {*other}


def test_digits_without_a_piece_to_cut_off_suffice() -> None:
    ones = np.zeros((1, 28, 28), np.uint8)
    ones[0, 4:24, 13:15] = 255
    drawn = draw_non_digits(100, "training", (ones, np.array([1], np.uint8)))
    assert len(drawn.pixels) == 100


def test_digits_are_trained_with_them_and_other_data_is_not(small_data: DataSet) -> None:
    digits = embedded()
    for preset in (None, {"epochs": 3}):
        assert suited(digits, preset)["non_digits"] > 0
        assert "non_digits" not in suited(small_data, preset)
    assert suited(digits, {"non_digits": 0.0})["non_digits"] == 0


def test_only_digits_can_be_trained_with_them(small_data: DataSet) -> None:
    letters = DataSet("own", "own", "own", tuple("abcdefghij"), small_data.train, small_data.test)
    with pytest.raises(BadRecipe, match=r"with the classes 0 to 9; .* use --non-digits 0"):
        task_of(letters, Recipe(non_digits=0.1, batch_size=32), CPU, None)


def test_a_run_keeps_those_that_choose_and_measure_the_threshold(
    small_data: DataSet, tmp_path: Path
) -> None:
    options = OPTIONS | {"epochs": 1, "non_digits": 0.1}
    held_out = train_into(tmp_path, small_data, Recipe(**options)).non_digits()
    assert held_out is not None
    validation, test = held_out
    assert validation.shape == test.shape == (1000, 28, 28)
    assert not np.array_equal(validation, test)


def test_a_run_without_them_keeps_none(run: Run) -> None:
    assert run.non_digits() is None
