"""Every knob has bounds, a flag and a place in the checkpoint; what cannot be is refused."""

import math
from argparse import ArgumentParser
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from training.model import NETWORKS
from training.recipe import PRESETS, BadRecipe, Recipe, flag

NUMBERS = [knob for knob in fields(Recipe) if "bounds" in knob.metadata]
CHOICES = [knob for knob in fields(Recipe) if "choices" in knob.metadata]


def parsed(*words: str) -> Recipe:
    parser = ArgumentParser()
    Recipe.add_flags(parser)
    return Recipe.made_of(Recipe.given_in(parser.parse_args(words)))


def given(*words: str) -> dict[str, Any]:
    parser = ArgumentParser()
    Recipe.add_flags(parser)
    return Recipe.given_in(parser.parse_args(words))


@pytest.mark.parametrize("knob", NUMBERS, ids=lambda knob: knob.name)
def test_every_number_has_a_flag_of_its_own_type_and_both_its_bounds(knob: Any) -> None:
    low, high, kind = knob.metadata["bounds"]
    for value in (low, high):
        assert given(flag(knob.name), str(value)) == {knob.name: value}
        assert type(given(flag(knob.name), str(value))[knob.name]) is kind


@pytest.mark.parametrize("knob", NUMBERS, ids=lambda knob: knob.name)
def test_a_value_out_of_bounds_is_refused_by_the_name_of_its_flag(knob: Any) -> None:
    low, high, _ = knob.metadata["bounds"]
    for value in (low - 1, high + 1, math.nan):
        with pytest.raises(BadRecipe, match=rf"^{flag(knob.name)} is .* it must be"):
            Recipe.made_of({knob.name: value})


@pytest.mark.parametrize("knob", CHOICES, ids=lambda knob: knob.name)
def test_an_unknown_name_lists_the_choices(knob: Any) -> None:
    with pytest.raises(BadRecipe, match=rf"^{flag(knob.name)} is 'nonsense', .* one of: ") as bad:
        Recipe.made_of({knob.name: "nonsense"})
    assert all(name in str(bad.value) for name in knob.metadata["choices"])


def test_flags_not_given_leave_the_recipe_as_it_is() -> None:
    assert parsed("--epochs", "3") == Recipe(epochs=3)
    assert parsed() == Recipe()


def test_a_later_layer_wins_over_an_earlier_one() -> None:
    recipe = Recipe.made_of({"epochs": 7, "shift": 1.0}, {"epochs": 9})
    assert (recipe.epochs, recipe.shift) == (9, 1.0)


def test_a_knob_that_no_recipe_has_is_named() -> None:
    with pytest.raises(BadRecipe, match="no recipe has epoch"):
        Recipe.made_of({"epoch": 3})


@pytest.mark.parametrize("network", NETWORKS)
def test_what_is_not_said_is_what_suits_the_network_and_is_stored_as_a_number(network: str) -> None:
    kind, stored = NETWORKS[network], Recipe(network=network).as_dict()
    assert stored["dropout1"] == kind.dropout1
    assert stored["dropout2"] == kind.dropout2
    assert stored["learning_rate"] == kind.learning_rate
    assert Recipe(network=network, optimiser="sgd").learning_rate == 10 * kind.learning_rate
    assert Recipe(network=network, dropout2=0.3).dropout2 == 0.3


@pytest.mark.parametrize(("epochs", "plain"), [(1, 0), (2, 1), (3, 2), (24, 2)])
def test_the_last_two_epochs_are_plain_where_there_are_more(epochs: int, plain: int) -> None:
    assert Recipe(epochs=epochs).plain_epochs == plain


@pytest.mark.parametrize(
    ("recipe", "keep"),
    [
        (Recipe(), "last"),
        (Recipe(schedule="cosine"), "last"),
        (Recipe(schedule="step"), "best"),
        (Recipe(patience=3), "best"),
        (Recipe(keep="best"), "best"),
    ],
)
def test_the_last_weights_are_kept_where_the_learning_rate_ends_at_nothing(
    recipe: Recipe, keep: str
) -> None:
    assert recipe.keep == keep


def test_numbers_of_numpy_become_pythons_own() -> None:
    recipe = Recipe.made_of({"epochs": np.int64(3), "batch_size": 64.0, "shift": np.float32(1)})
    assert recipe == Recipe(epochs=3, batch_size=64, shift=1.0)
    assert {type(recipe.epochs), type(recipe.batch_size)} == {int}
    assert type(recipe.shift) is float


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"momentum": 0.5}, "--momentum has an effect only with --optimiser sgd; it is adam"),
        ({"decay_factor": 0.3}, "only with --schedule step or plateau; it is one-cycle"),
        ({"spoiled": 0.0, "noise": 0.3}, "--noise has an effect only with --spoiled; it is 0.0"),
        ({"softness": 2.0}, "--softness has an effect only with --teachers; it is 0"),
    ],
)
def test_a_knob_that_would_do_nothing_is_refused(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadRecipe, match=complaint):
        Recipe.made_of(given).check_use(given)


def test_a_stored_recipe_makes_the_same_recipe_again() -> None:
    recipe = Recipe(network="classic", optimiser="sgd", patience=3, min_delta=0.01)
    assert Recipe.made_of(recipe.as_dict()) == recipe


@pytest.mark.parametrize(
    ("wish", "complaint"),
    [
        ({"epochs": 2, "plain_epochs": 3}, "--plain-epochs is 3, more than --epochs 2"),
        ({"validation": 0.0, "patience": 2}, "--patience 2 needs a validation part"),
        ({"validation": 0.0, "schedule": "plateau"}, "plateau needs a validation part"),
        ({"min_delta": 0.1}, "--min-delta has an effect only with --patience"),
        ({"erasing": 1.0}, "--erasing is 1.0, it must be 0 to 0.5"),
        ({"network": "classic", "width": 2.0}, "classic has a fixed width"),
        ({"mixed_precision": True, "device": "cpu"}, "--mixed-precision is for CUDA"),
        ({"epochs": 2.5}, "--epochs is 2.5, it must be a whole number from 1"),
        ({"teacher_epochs": 0}, "--teacher-epochs is 0"),
        ({"batch_size": "64"}, "--batch-size is '64', it must be a whole number from 2"),
        ({"seed": math.inf}, "--seed is inf, it must be a whole number"),
        ({"mixed_precision": "no"}, "--mixed-precision is 'no', it must be True or False"),
    ],
)
def test_wishes_that_contradict_each_other_are_refused(
    wish: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(BadRecipe, match=complaint):
        Recipe(**wish)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_recipe(name: str) -> None:
    Recipe.made_of(PRESETS[name])


def test_a_teacher_differs_from_its_student_in_network_seed_and_labels_only() -> None:
    student = Recipe(teachers=2, teacher_network="deep", teacher_width=1.5, teacher_epochs=7)
    first, second = student.of_teacher(1), student.of_teacher(2)
    assert (first.network, first.width, first.epochs, first.teachers) == ("deep", 1.5, 7, 0)
    assert first.seed != second.seed
    assert (
        first.validation_seed == student.validation_seed
    )  # or it would have seen what we judge by
    assert first.rotation == student.rotation
