"""The loop learns with every network, optimiser and schedule, and can stop after any step."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.support.marks import slow
from tests.training.conftest import RECIPE
from training.data import DataSet
from training.evaluate import logits_of
from training.loop import Part, State, Stopped, Training
from training.model import build
from training.optimise import average_of
from training.place import Place
from training.progress import Epoch
from training.recipe import OPTIMISERS, BadRecipe, Recipe
from training.train import split

SHORT = replace(RECIPE, epochs=3, plain_epochs=1)


class Keeper:
    """Remembers the last state, and asks to stop before the step after `steps`."""

    def __init__(self, steps: int = -1) -> None:
        self.left, self.kept = steps, dict[str, Any]()

    def step(self, done: int, means: Tensor) -> None:
        self.left -= 1

    def epoch(self, epoch: Epoch, network: nn.Module) -> None: ...

    def save(self, state: State) -> None:
        self.kept = torch_copy(state)

    def stop_requested(self) -> bool:
        return self.left == 0


def torch_copy(state: State) -> State:
    """As a file would keep it: nothing shared with what goes on."""
    import io

    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    copy: State = torch.load(file, weights_only=True)
    return copy


@pytest.fixture(scope="module")
def part(small_data: DataSet) -> Part:
    pixels, labels = small_data.train
    return Part(torch.tensor(pixels), torch.tensor(labels).long())


@pytest.fixture(scope="module")
def begun(part: Part) -> Callable[..., Training]:
    """A training of a recipe, not yet run."""

    def begin(recipe: Recipe, teachers: tuple[nn.Module, ...] = ()) -> Training:
        torch.set_num_threads(1)
        torch.manual_seed(recipe.seed)
        network = build(
            recipe.network, classes=10, dropout1=recipe.dropout1, dropout2=recipe.dropout2,
            width=recipe.width,
        )  # fmt: skip
        learn, held_out = split(part, recipe)
        return Training(network, recipe, Place(torch.device("cpu")), learn, held_out, teachers)

    return begin


@pytest.fixture(scope="module")
def whole(begun: Callable[..., Training]) -> Callable[[Recipe], Training]:
    """A training of a recipe, run without a stop; once, for all tests that only look at it."""

    @cache
    def run(recipe: Recipe) -> Training:
        training = begun(recipe)
        training.run(Keeper())
        return training

    return run


def recipe_with(**knobs: Any) -> Recipe:
    return Recipe.made_of(SHORT.as_dict(), {"learning_rate": None}, knobs)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


OTHER_NETWORKS = ("deep", "classic", "pooled", "batchnorm", "mlp")


def away(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The distance between the weights of two networks."""
    return math.sqrt(sum(float((one[name] - other[name]).square().sum()) for name in one))


@pytest.mark.parametrize("network", ["compact", *map(slow, OTHER_NETWORKS)])
def test_every_network_learns(network: str, begun: Callable[..., Training]) -> None:
    training = begun(recipe_with(network=network, epochs=4, dropout1=0, dropout2=0))
    training.run(Keeper())
    assert (training.history[-1].validation_accuracy or 0) > 0.8


@pytest.mark.slow
def test_resnet18_learns(part: Part) -> None:
    few = Part(part.pixels[:192], part.labels[:192])
    recipe = recipe_with(network="resnet18", epochs=3, batch_size=32, validation=0.0)
    torch.manual_seed(0)
    network = build("resnet18", classes=10, dropout1=0, dropout2=0)
    training = Training(network, recipe, Place(torch.device("cpu")), few, None)
    training.run(Keeper())
    losses = [epoch.loss for epoch in training.history]
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize("optimiser", [*map(slow, OPTIMISERS)])
def test_every_optimiser_learns(optimiser: str, begun: Callable[..., Training]) -> None:
    training = begun(recipe_with(optimiser=optimiser))
    training.run(Keeper())
    assert (training.history[-1].validation_accuracy or 0) > 0.8


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        slow("none", [1, 1, 1, 1, 1]),
        slow("step", [1, 1, 0.5, 0.5, 0.25]),
        slow("cosine", [0.9045, 0.6545, 0.3455, 0.0955, 0]),
        ("one-cycle", [0.7946, 0.9384, 0.5854, 0.1681, 0]),
    ],
)
def test_schedules_move_the_learning_rate_each_its_own_way(
    schedule: str, expected: list[float], begun: Callable[..., Training]
) -> None:
    training = begun(recipe_with(schedule=schedule, epochs=5, decay_every=2, decay_factor=0.5))
    training.run(Keeper())
    rates = [epoch.learning_rate / 0.01 for epoch in training.history]
    assert rates == pytest.approx(expected, abs=2e-3)


@pytest.mark.slow
def test_plateau_drops_the_learning_rate_after_an_epoch_that_was_no_better(
    begun: Callable[..., Training],
) -> None:
    training = begun(recipe_with(schedule="plateau", epochs=8, decay_factor=0.5, decay_patience=0))
    training.run(Keeper())
    best = float("inf")
    for epoch, after in zip(training.history, training.history[1:], strict=False):
        better = (epoch.validation_loss or 0) < best * (1 - 1e-4)
        best = min(best, epoch.validation_loss or 0)
        factor = 1 if better else 0.5
        assert after.learning_rate == pytest.approx(epoch.learning_rate * factor)
    assert training.history[-1].learning_rate < 0.01


@pytest.mark.parametrize("steps", [1, 17, 25], ids=["first step", "end of an epoch", "within one"])
@pytest.mark.parametrize(
    "knobs",
    [
        {"rotation": 10.0, "elastic": 0.5, "spoiled": 0.25},
        slow({"optimiser": "sgd", "schedule": "plateau", "ema": 0.9, "patience": 2}),
        slow({"optimiser": "adamw", "schedule": "step", "decay_every": 1, "weight_decay": 0.1}),
        slow({"schedule": "cosine", "dropout1": 0.3, "validation": 0.0}),
    ],
    ids=["augmented", "sgd plateau average", "adamw step", "dropout, no validation"],
)
def test_a_stopped_training_goes_on_to_the_weights_it_would_have_reached(
    steps: int,
    knobs: dict[str, Any],
    begun: Callable[..., Training],
    whole: Callable[[Recipe], Training],
) -> None:
    recipe = recipe_with(**knobs)
    first, rest = begun(recipe), begun(recipe)
    keeper = Keeper(steps)
    with pytest.raises(Stopped):
        first.run(keeper)
    rest.resume_from(keeper.kept)
    rest.run(Keeper())
    expected = whole(recipe)
    assert same(expected.best["weights"], rest.best["weights"])
    assert same(expected.state()["network"], rest.state()["network"])
    assert [e.loss for e in expected.history] == [e.loss for e in rest.history]


@pytest.mark.parametrize(
    "knobs",
    [
        {"shift": 1.0},
        {"label_smoothing": 0.0},
        {"weight_decay": 0.1},
        {"dropout1": 0.2},
        {"dropout2": 0.5},
        {"ema": 0.5},
        {"width": 1.5},
        {"batch_size": 16},
        {"learning_rate": 0.001},
        {"rotation": 10.0},
        {"scale": 0.2},
        {"aspect": 0.2},
        {"shear": 0.2},
        {"elastic": 1.0},
        {"stroke": 1.0},
        {"spoiled": 0.5, "noise": 0.0, "erasing": 0.0},
    ],
    ids=lambda knobs: next(iter(knobs)),
)
def test_every_knob_changes_what_is_learned(
    knobs: dict[str, Any], whole: Callable[[Recipe], Training]
) -> None:
    varied = {"epochs": 1, "plain_epochs": 0}
    one, other = whole(recipe_with(**varied)), whole(recipe_with(**varied | knobs))
    assert not same(one.best["weights"], other.best["weights"])


def test_the_momentum_of_sgd_is_the_one_asked_for(begun: Callable[..., Training]) -> None:
    training = begun(recipe_with(optimiser="sgd", momentum=0.5, epochs=1))
    training.run(Keeper())
    (group,) = training.state()["optimiser"]["param_groups"]
    assert (group["momentum"], group["nesterov"]) == (0.5, True)


@pytest.mark.slow
def test_the_last_weights_are_kept_if_that_is_asked_for(begun: Callable[..., Training]) -> None:
    knobs = {"learning_rate": 0.03, "schedule": "none", "epochs": 8, "validation": 0.4}
    best, last = begun(recipe_with(keep="best", **knobs)), begun(recipe_with(keep="last", **knobs))
    best.run(Keeper())
    last.run(Keeper())
    assert best.kept["epoch"] == last.best["epoch"] < 8
    assert last.kept["epoch"] == 8
    assert same(best.kept["weights"], last.best["weights"])
    assert same(last.kept["weights"], last.state()["network"])


@pytest.mark.slow
def test_another_seed_gives_other_weights(begun: Callable[..., Training]) -> None:
    one, other = begun(SHORT), begun(replace(SHORT, seed=1))
    one.run(Keeper())
    other.run(Keeper())
    assert not same(one.best["weights"], other.best["weights"])


def test_the_held_out_pictures_follow_their_own_seed(part: Part) -> None:
    def held_out(recipe: Recipe) -> bytes:
        found = split(part, recipe)[1]
        assert found is not None
        assert len(found) == 30
        return found.pixels.numpy().tobytes()

    assert held_out(SHORT) == held_out(replace(SHORT, seed=7))
    assert held_out(SHORT) != held_out(replace(SHORT, validation_seed=1))


def test_a_batch_larger_than_the_data_is_refused(part: Part) -> None:
    with pytest.raises(BadRecipe, match=r"600, more than the 570 .* \(30 of 600 are held"):
        split(part, replace(RECIPE, batch_size=600))


def test_patience_ends_a_training_that_makes_no_progress(begun: Callable[..., Training]) -> None:
    training = begun(recipe_with(epochs=50, patience=2, min_delta=1.0, learning_rate=1e-6))
    training.run(Keeper())
    assert len(training.history) == 3  # the first counts as progress, then two without


def test_the_averaged_weights_are_what_is_judged_and_kept(begun: Callable[..., Training]) -> None:
    recipe = recipe_with(ema=0.9, validation=0.0)  # so that the last epoch is the best
    training = begun(recipe)
    training.run(Keeper())
    kept, last = training.best["weights"], training.state()["network"]
    assert training.best["epoch"] == recipe.epochs
    assert not same(kept, last)
    # The average of the first steps is almost the last weights; what training began with is far.
    first = begun(recipe).state()["network"]
    assert away(kept, last) < 0.5 * away(first, last)
    assert average_of(SHORT, nn.Linear(1, 1)) is None


def test_a_taught_network_learns_its_teachers_errors_too(begun: Callable[..., Training]) -> None:
    class Wrong(nn.Module):
        """Calls everything a 3."""

        def forward(self, ink: Tensor) -> Tensor:
            return torch.nn.functional.one_hot(torch.full((len(ink),), 3), 10) * 20.0

    training = begun(recipe_with(distillation=1.0), (Wrong(),))
    training.run(Keeper())
    network = build("compact", classes=10, dropout1=0, dropout2=0.1)
    network.load_state_dict(training.best["weights"])
    answers = logits_of(network, torch.zeros(5, 28, 28, dtype=torch.uint8)).argmax(1)
    assert answers.tolist() == [3] * 5
