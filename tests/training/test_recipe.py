"""Every knob has bounds, a flag and a place in the checkpoint."""

import math
from argparse import ArgumentParser
from dataclasses import fields

import pytest

from training.recipe import BadRecipe, Recipe, flag


def parsed(*words: str) -> Recipe:
    parser = ArgumentParser()
    Recipe.add_flags(parser)
    return Recipe().with_flags(parser.parse_args(words))


def test_every_knob_has_a_flag_of_its_own_type() -> None:
    for knob in fields(Recipe):
        changed = parsed(flag(knob.name), str(knob.metadata["low"]))
        value = getattr(changed, knob.name)
        assert value == knob.metadata["low"]
        assert type(value) is type(knob.default)


def test_flags_not_given_leave_the_recipe_as_it_is() -> None:
    assert parsed("--epochs", "3") == Recipe(epochs=3)
    assert parsed() == Recipe()


@pytest.mark.parametrize("knob", fields(Recipe), ids=lambda knob: knob.name)
def test_a_value_out_of_bounds_is_refused_by_the_name_of_its_flag(knob: object) -> None:
    name, bounds = knob.name, knob.metadata  # type: ignore[attr-defined]
    for value in (bounds["low"] - 1, bounds["high"] + 1, math.nan):
        with pytest.raises(BadRecipe, match=f"{flag(name)} is .* must be"):
            Recipe(**{name: value})  # type: ignore[arg-type]


def test_more_plain_epochs_than_epochs_are_refused() -> None:
    with pytest.raises(BadRecipe, match="--plain-epochs is 3, more than --epochs 2"):
        Recipe(epochs=2, plain_epochs=3)
