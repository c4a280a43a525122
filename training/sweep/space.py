"""The search space: options of the recipe, each with a range or a list of values.

    learning_rate=1e-2:0.5:log   from low to high, on a logarithmic scale
    epochs=3:12                  both ends included
    network=compact,deep         one of these

An option that has no effect with the values of the others, such as the momentum of Adam, is left
out of a trial.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna import Trial
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from training.flags import Options
from training.model import kind_of
from training.recipe import USED_WITH, BadRecipe, Recipe, flag

Space = Mapping[str, BaseDistribution]  # by option

SYNTAX = "NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=VALUE,VALUE,..."
JUDGES = ("validation", "validation_seed")  # by which trials are compared
OF_NETWORK = ("width", "hidden_size")  # that only some networks have
SWITCH = {"yes": True, "no": False}


def read_space(words: Sequence[str]) -> Space:
    """The space that `--search` describes; BadRecipe names the word that is wrong."""
    space: dict[str, BaseDistribution] = {}
    for word in words:
        name, _, values = word.partition("=")
        name = name.replace("-", "_")
        if not values:
            raise BadRecipe(f"--search {word}: write {SYNTAX}")
        try:
            distribution = _distribution(name, values)
        except BadRecipe as error:
            raise BadRecipe(f"--search {word}: {error}") from error
        if name in JUDGES:
            raise BadRecipe(f"--search {word}: all trials must be judged by the same images")
        if name in space:
            raise BadRecipe(f"--search has {name} twice")
        space[name] = distribution
    return space


def default_space(recipe: Recipe, given: Options) -> Space:
    """Options that matter for every network, around the values of `recipe`, unless `given`."""
    rate = recipe.learning_rate
    space: dict[str, BaseDistribution] = {
        "learning_rate": FloatDistribution(rate / 10, min(rate * 5, 10), log=True),
        "batch_size": CategoricalDistribution((32, 64, 128, 256)),
        "label_smoothing": FloatDistribution(0, 0.2),
    }
    return {name: values for name, values in space.items() if name not in given}


def check_space(space: Space, layers: Sequence[Options]) -> None:
    """BadRecipe if an option can have no effect, or if its ends do not suit the fixed options."""
    recipe = Recipe.made_of(*layers)
    for name, distribution in space.items():
        if name in OF_NETWORK and "network" in space:
            continue  # each trial leaves it out where it does not suit the network
        unmet = recipe.unmet(name)
        if unmet and unmet[0] in space:
            continue
        recipe.check_use([name])
        for value in _ends(distribution):
            Recipe.made_of(*layers, {name: value})


def suggest(trial: Trial, space: Space, layers: Sequence[Options]) -> dict[str, Any]:
    """The options of a trial; BadRecipe if they contradict each other."""
    chosen: dict[str, Any] = {}
    for name in sorted(space, key=lambda name: name in USED_WITH or name in OF_NETWORK):
        recipe = Recipe.made_of(*layers, chosen)
        kind = kind_of(recipe.network)
        suits = {"width": kind.widens, "hidden_size": bool(kind.hidden_size)}
        if suits.get(name, True) and recipe.unmet(name) is None:
            chosen[name] = _suggest(trial, name, space[name])
    Recipe.made_of(*layers, chosen)
    return chosen


def flags_of(options: Options) -> list[str]:
    """The command-line flags of some options."""
    words = []
    for name, value in options.items():
        if isinstance(value, bool):
            words.append(flag(name) if value else flag(f"no-{name}"))
        else:
            words.append(f"{flag(name)}={value}")
    return words


def _distribution(name: str, values: str) -> BaseDistribution:
    option = Recipe.option(name)
    if ":" in values and "bounds" in option.metadata:
        low, high, *scale = values.split(":")
        if scale not in ([], ["log"]):
            raise BadRecipe(f"write {SYNTAX}")
        ends = _value(name, low), _value(name, high)
        if not ends[0] < ends[1]:
            raise BadRecipe(f"{low} is not less than {high}")
        if scale and ends[0] <= 0:
            raise BadRecipe("a logarithmic scale begins above 0")
        is_whole = option.metadata["bounds"][2] is int
        return (IntDistribution if is_whole else FloatDistribution)(*ends, log=bool(scale))
    return CategoricalDistribution([_value(name, value) for value in values.split(",")])


def _value(name: str, word: str) -> Any:
    """The value in the type of the option; BadRecipe if it cannot have it."""
    option = Recipe.option(name)
    value: Any = word
    if "bounds" in option.metadata:
        try:
            value = int(word) if option.metadata["bounds"][2] is int else float(word)
        except ValueError:
            value = word  # check_option says what it must be
    elif option.metadata.get("switch"):
        if word not in SWITCH:
            raise BadRecipe(f"{word!r} is neither yes nor no")
        value = SWITCH[word]
    Recipe.check_option(name, value)
    return value


def _ends(distribution: BaseDistribution) -> Sequence[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return distribution.low, distribution.high


def _suggest(trial: Trial, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(name, distribution.low, distribution.high, log=distribution.log)
    assert isinstance(distribution, FloatDistribution)
    return trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)
