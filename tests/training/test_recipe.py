"""Every option has bounds, a flag and a place in the checkpoint; invalid values are rejected."""

import math
from argparse import ArgumentParser
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.jobs import BOUNDS, OPTIONS
from training.model import NETWORKS
from training.presets import PRESETS, suggested
from training.recipe import BadRecipe, Recipe, flag

NUMBERS = [option for option in fields(Recipe) if "bounds" in option.metadata]
CHOICES = [option for option in fields(Recipe) if "choices" in option.metadata]


def parsed(*words: str) -> Recipe:
    parser = ArgumentParser()
    Recipe.add_flags(parser)
    return Recipe.made_of(Recipe.given_in(parser.parse_args(words)))


def given(*words: str) -> dict[str, Any]:
    parser = ArgumentParser()
    Recipe.add_flags(parser)
    return Recipe.given_in(parser.parse_args(words))


@pytest.mark.parametrize("option", NUMBERS, ids=lambda option: option.name)
def test_every_number_has_a_typed_flag_with_both_bounds(option: Any) -> None:
    low, high, kind = option.metadata["bounds"]
    for value in (low, high):
        assert given(flag(option.name), str(value)) == {option.name: value}
        assert type(given(flag(option.name), str(value))[option.name]) is kind


@pytest.mark.parametrize("option", NUMBERS, ids=lambda option: option.name)
def test_the_error_about_a_value_out_of_bounds_names_the_flag(option: Any) -> None:
    low, high, _ = option.metadata["bounds"]
    for value in (low - 1, high + 1, math.nan):
        with pytest.raises(BadRecipe, match=rf"^{flag(option.name)} is .* it must be"):
            Recipe.made_of({option.name: value})


@pytest.mark.parametrize("option", CHOICES, ids=lambda option: option.name)
def test_an_unknown_name_lists_the_choices(option: Any) -> None:
    with pytest.raises(BadRecipe, match=rf"^{flag(option.name)} is 'nonsense', .* one of: ") as bad:
        Recipe.made_of({option.name: "nonsense"})
    assert all(name in str(bad.value) for name in option.metadata["choices"])


def test_jobs_accept_the_names_of_all_options() -> None:
    assert [option.name for option in fields(Recipe)] == [*OPTIONS]


def test_jobs_have_the_bounds_of_the_options() -> None:
    options = {option.name: option for option in NUMBERS}
    for name, (low, high) in BOUNDS.items():
        assert options[name].metadata["bounds"][:2] == (low, high)
        assert isinstance(low, options[name].metadata["bounds"][2])


def test_omitted_flags_leave_the_recipe_unchanged() -> None:
    assert parsed("--epochs", "3") == Recipe(epochs=3)
    assert parsed() == Recipe()


def test_later_layers_override_earlier_ones() -> None:
    recipe = Recipe.made_of({"epochs": 7, "shift": 1.0}, {"epochs": 9})
    assert (recipe.epochs, recipe.shift) == (9, 1.0)


def test_the_error_names_an_unknown_option() -> None:
    with pytest.raises(BadRecipe, match=r"unknown option 'epoch'; did you mean epochs\?"):
        Recipe.made_of({"epoch": 3})


@pytest.mark.parametrize("network", NETWORKS)
def test_omitted_values_default_by_network_and_are_stored_as_numbers(network: str) -> None:
    kind, stored = NETWORKS[network], Recipe(network=network).as_dict()
    assert stored["dropout1"] == kind.dropout1
    assert stored["dropout2"] == kind.dropout2
    assert stored["optimiser"] == kind.optimiser
    assert Recipe(network=network, optimiser="adam").learning_rate == kind.learning_rate
    assert Recipe(network=network, optimiser="sgd").learning_rate == 10 * kind.learning_rate
    assert Recipe(network=network, dropout2=0.3).dropout2 == 0.3


@pytest.mark.parametrize(("epochs", "plain"), [(1, 0), (2, 1), (3, 2), (24, 2)])
def test_the_last_two_epochs_are_plain_by_default(epochs: int, plain: int) -> None:
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
def test_the_last_weights_are_kept_if_the_learning_rate_decays_to_zero(
    recipe: Recipe, keep: str
) -> None:
    assert recipe.keep == keep


def test_numpy_numbers_become_python_numbers() -> None:
    recipe = Recipe.made_of({"epochs": np.int64(3), "batch_size": 64.0, "shift": np.float32(1)})
    assert recipe == Recipe(epochs=3, batch_size=64, shift=1.0)
    assert {type(recipe.epochs), type(recipe.batch_size)} == {int}
    assert type(recipe.shift) is float


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"network": "mlp", "momentum": 0.5},
            "has an effect only with --optimiser sgd or muon; it is adam",
        ),
        ({"decay_factor": 0.3}, "only with --schedule step or plateau; it is one-cycle"),
        ({"spoiled": 0.0, "noise": 0.3}, "--noise has an effect only with --spoiled; it is 0.0"),
        ({"softness": 2.0}, "--softness has an effect only with --teachers; it is 0"),
    ],
)
def test_an_option_without_effect_is_rejected(given: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRecipe, match=message):
        Recipe.made_of(given).check_use(given)


def test_a_file_of_options_is_read(tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text('network = "deep"\nepochs = 3\n')
    assert Recipe.made_of(Recipe.read(file)) == Recipe(network="deep", epochs=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning-rate = 0.1", r"unknown option 'learning-rate'; did you mean learning_rate\?"),
        ("colours = 3\nfoo = 1", r"unknown option 'colours'; did you mean colour\?"),
        ("epochs = 0", "--epochs is 0, it must be"),
        ("epochs = ", "is not a TOML file"),
        ('network = "huge"', "--network: network is 'huge', it must be one of"),
    ],
)
def test_a_mistake_in_a_file_of_options_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(text)
    with pytest.raises(BadRecipe, match=rf"recipe\.toml.*{message}"):
        Recipe.read(file)


def test_a_file_of_options_is_completed_by_flags(tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text("# Größe\nhidden_size = 64\n", "utf-8")
    recipe = Recipe.made_of(Recipe.read(file), {"network": "classic"})
    assert (recipe.network, recipe.hidden_size) == ("classic", 64)
    with pytest.raises(BadRecipe, match="--hidden-size is 64, but compact has no hidden"):
        Recipe.made_of(Recipe.read(file))


def test_colour_images_are_mirrored_unless_their_classes_are_letters_or_digits() -> None:
    assert suggested((28, 28), ("0", "1"), 60_000) == {}
    of_animals = Recipe.made_of(suggested((32, 32, 3), ("cat", "dog"), 60_000))
    assert (of_animals.network, of_animals.flip) == ("residual", 0.5)
    assert suggested((64, 64, 3), ("0", "1"), 60_000)["flip"] == 0
    assert suggested((64, 64), ("cat", "dog"), 60_000)["flip"] == 0


def test_few_colour_images_train_in_smaller_batches() -> None:
    many, few = (suggested((64, 64, 3), ("cat", "dog"), images) for images in (60_000, 2_000))
    assert few["batch_size"] < many["batch_size"]


def test_a_recipe_survives_a_round_trip_through_a_dictionary() -> None:
    recipe = Recipe(network="classic", optimiser="sgd", patience=3, min_delta=0.01)
    assert Recipe.made_of(recipe.as_dict()) == recipe


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 2, "plain_epochs": 3}, "--plain-epochs is 3, more than --epochs 2"),
        ({"validation": 0.0, "patience": 2}, "--patience 2 needs a validation part"),
        ({"validation": 0.0, "schedule": "plateau"}, "plateau needs a validation part"),
        ({"min_delta": 0.1}, "--min-delta has an effect only with --patience"),
        ({"erasing": 1.0}, "--erasing is 1.0, it must be 0 to 0.5"),
        ({"network": "classic", "width": 2.0}, "classic has a fixed width"),
        ({"mixed_precision": True, "device": "mps"}, "--mixed-precision is for CUDA"),
        ({"network": "pooled2"}, "--network: .* must be one of: compact, .*; or my_module:build"),
        ({"hidden_size": 64}, "compact has no hidden fully connected layer; .*: classic, pooled"),
        ({"flip": 2}, "--flip is 2, it must be 0 to 1"),
        ({"epochs": 2.5}, "--epochs is 2.5, it must be a whole number from 1"),
        ({"teacher_epochs": 0}, "--teacher-epochs is 0"),
        ({"batch_size": "64"}, "--batch-size is '64', it must be a whole number from 2"),
        ({"seed": math.inf}, "--seed is inf, it must be a whole number"),
        ({"mixed_precision": "no"}, "--mixed-precision is 'no', it must be True or False"),
    ],
)
def test_invalid_or_contradictory_options_are_rejected(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadRecipe, match=message):
        Recipe(**options)


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
    )  # else it would have trained on validation images
    assert first.rotation == student.rotation
