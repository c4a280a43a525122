"""A recipe adds digits in other hands to the training images; which of them, it can name."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from preprocessing.digits.normalize import normalize_digit
from training.data import DataSet, suited
from training.embedded import DRAWN, embedded_digits
from training.hands import HANDS, USUAL_HANDS, UnknownHand, drawn_digits, hands_in
from training.place import place_of
from training.presets import PRESETS
from training.recipe import BadRecipe, Recipe
from training.task import Task, task_of
from training.train import train_into


def task(data: DataSet, recipe: Recipe) -> Task:
    with place_of(recipe) as place:
        return task_of(data, recipe, place, None)


def test_each_digit_is_drawn_equally_often() -> None:
    pixels, labels = drawn_digits(200, seed=0)
    assert np.bincount(labels).tolist() == [20] * 10
    assert pixels.shape == (200, 28, 28)
    assert pixels.dtype == np.uint8


def test_drawn_digits_have_the_form_that_the_service_gives_them() -> None:
    pixels, _ = drawn_digits(600, seed=0, hands=HANDS | USUAL_HANDS)
    unchanged = [np.array_equal(normalize_digit(image), image) for image in pixels]
    assert np.mean(unchanged) > 0.99
    sides = [np.ptp(np.argwhere(image), axis=0).max() + 1 for image in pixels]
    assert set(sides) <= {19, 20}


def test_the_same_seed_draws_the_same_digits_and_another_seed_others() -> None:
    pixels, _ = drawn_digits(50, seed=1)
    assert np.array_equal(pixels, drawn_digits(50, seed=1)[0])
    assert not np.array_equal(pixels, drawn_digits(50, seed=2)[0])


def test_the_embedded_digits_are_drawn_in_the_hands_that_are_common_in_mnist_too() -> None:
    (pixels, labels), _ = embedded_digits()
    first, classes = drawn_digits(100, seed=0, hands=HANDS | USUAL_HANDS)
    assert np.array_equal(pixels[-DRAWN:][:100], first)
    assert np.array_equal(labels[-DRAWN:][:100], classes)
    assert {name[0] for name in USUAL_HANDS} == set("0123456789")
    assert not HANDS.keys() & USUAL_HANDS.keys()


def test_a_hand_can_be_left_out() -> None:
    others = [name for name in HANDS if name[0] == "1" and name != "1 barred base"]
    ones = drawn_digits(400, seed=0, without=others)[0][1::10]
    plain = drawn_digits(400, seed=0, without=hands_in("1 barred base, 1 based"))[0][1::10]
    assert foot(ones) > 8 > foot(plain)


def foot(pixels: NDArray[np.uint8]) -> float:
    """The mean width in pixels of the ink in the lowest four rows that have any."""
    widths = []
    for image in pixels > 127:
        low = np.flatnonzero(image.any(1))[-4:]
        widths.append(image[low].any(0).sum())
    return float(np.mean(widths))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("7 bared", "there is no hand '7 bared', but 7 barred"),
        ("8 plain, 8 two loops, 8 open", "all hands of the 8 are left out: keep one of them"),
    ],
)
def test_names_of_hands_are_checked_before_anything_is_loaded(text: str, message: str) -> None:
    with pytest.raises(UnknownHand, match=message):
        hands_in(text)
    with pytest.raises(BadRecipe, match=f"^--without-hands: {message}"):
        Recipe(hands=0.1, without_hands=text)


def test_the_recipe_gives_the_share_of_drawn_digits(small_data: DataSet) -> None:
    mixed = task(small_data, Recipe(hands=0.25))
    plain = task(small_data, Recipe(hands=0.0))
    assert len(plain.train) == 570
    assert len(mixed.train) == mixed.images == 570 + 190
    assert mixed.validation is not None
    assert plain.validation is not None
    assert np.array_equal(mixed.validation.pixels, plain.validation.pixels)
    assert np.array_equal(mixed.train.pixels[:570], plain.train.pixels)


@pytest.mark.parametrize("preset", [None, *PRESETS.values()])
def test_mnist_gets_drawn_digits_with_every_preset_and_other_data_none(
    small_data: DataSet, preset: dict[str, object] | None
) -> None:
    mnist = replace(small_data, wanted="mnist")
    assert Recipe.made_of(suited(mnist, preset)).hands == 0.05
    assert Recipe.made_of(suited(small_data, preset)).hands == 0


def test_the_hands_are_recorded_with_the_recipe(small_data: DataSet, tmp_path: Path) -> None:
    recipe = Recipe(epochs=1, batch_size=256, hands=0.5, without_hands="7 barred", threads=1)
    run = train_into(tmp_path, small_data, recipe)
    stored = run.checkpoint().recipe
    assert (stored["hands"], stored["without_hands"]) == (0.5, "7 barred")


def test_hands_are_refused_for_other_classes(small_data: DataSet) -> None:
    letters = replace(small_data, labels=tuple("abcdefghij"))
    with pytest.raises(BadRecipe, match=r"--hands draws gray digits of 28x28 .*: use --hands 0"):
        task(letters, Recipe(hands=0.1))


def test_leaving_out_hands_needs_hands(small_data: DataSet) -> None:
    with pytest.raises(BadRecipe, match="--without-hands has an effect only with --hands"):
        task(small_data, Recipe(without_hands="7 barred"))
