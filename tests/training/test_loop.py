"""The loop trains with every network, optimiser and schedule, and can stop after any step."""

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
from training.task import split

SHORT = replace(RECIPE, epochs=3, plain_epochs=1)


class Keeper:
    """Keeps the last state, and requests a stop after `steps` steps."""

    def __init__(self, steps: int = -1) -> None:
        self.left, self.kept = steps, dict[str, Any]()

    def step(self, done: int, means: Tensor) -> None:
        self.left -= 1

    def epoch(self, epoch: Epoch, network: nn.Module) -> None: ...

    def save(self, state: State) -> None:
        self.kept = saved_and_loaded(state)

    def stop_requested(self) -> bool:
        return self.left == 0


def noise(count: int, seed: int) -> Tensor:
    """Images (count, 28, 28) that are no digit."""
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 28, 28), dtype=torch.uint8, generator=random)


def saved_and_loaded(state: State) -> State:
    """A copy as a file stores it, which shares no tensor with the running training."""
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
def new_training(part: Part) -> Callable[..., Training]:
    """Returns a training of a recipe that has not run yet."""

    def create(recipe: Recipe, teachers: tuple[nn.Module, ...] = ()) -> Training:
        torch.set_num_threads(1)
        torch.manual_seed(recipe.seed)
        network = build(
            recipe.network, classes=10, dropout1=recipe.dropout1, dropout2=recipe.dropout2,
            width=recipe.width,
        )  # fmt: skip
        learn, held_out = split(part, recipe)
        return Training(
            network,
            recipe,
            Place(torch.device("cpu")),
            learn,
            held_out,
            teachers,
            non_digits=noise(200, seed=0) if recipe.non_digits else None,
        )

    return create


@pytest.fixture(scope="module")
def whole(new_training: Callable[..., Training]) -> Callable[[Recipe], Training]:
    """Returns a completed training of a recipe, cached for tests that only inspect it."""

    @cache
    def run(recipe: Recipe) -> Training:
        training = new_training(recipe)
        training.run(Keeper())
        return training

    return run


def recipe_with(**options: Any) -> Recipe:
    return Recipe.made_of(SHORT.as_dict(), {"learning_rate": None}, options)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


OTHER_NETWORKS = ("deep", "classic", "pooled", "batchnorm", "mlp")


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The distance between the weights of two networks."""
    return math.sqrt(sum(float((one[name] - other[name]).square().sum()) for name in one))


@pytest.mark.parametrize("network", ["compact", *map(slow, OTHER_NETWORKS)])
def test_every_network_learns(network: str, new_training: Callable[..., Training]) -> None:
    training = new_training(recipe_with(network=network, epochs=4, dropout1=0, dropout2=0))
    training.run(Keeper())
    assert (training.history[-1].validation_accuracy or 0) > 0.8


def test_images_that_are_no_digit_get_a_low_confidence(
    new_training: Callable[..., Training], part: Part
) -> None:
    recipe = recipe_with(non_digits=0.25)
    training = new_training(recipe)
    training.run(Keeper())
    network = build("compact", classes=10)
    network.load_state_dict(training.kept["weights"])
    confidence = logits_of(network, noise(100, seed=1)).softmax(1).max(1).values
    assert confidence.mean() < 0.4
    assert (logits_of(network, part.pixels).argmax(1) == part.labels).float().mean() > 0.85


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
def test_every_optimiser_learns(optimiser: str, new_training: Callable[..., Training]) -> None:
    training = new_training(recipe_with(optimiser=optimiser))
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
def test_each_schedule_sets_its_learning_rates(
    schedule: str, expected: list[float], new_training: Callable[..., Training]
) -> None:
    training = new_training(
        recipe_with(schedule=schedule, epochs=5, decay_every=2, decay_factor=0.5)
    )
    training.run(Keeper())
    rates = [epoch.learning_rate / 0.1 for epoch in training.history]
    assert rates == pytest.approx(expected, abs=2e-3)


@pytest.mark.slow
def test_plateau_lowers_the_rate_after_an_epoch_without_improvement(
    new_training: Callable[..., Training],
) -> None:
    training = new_training(
        recipe_with(schedule="plateau", epochs=8, decay_factor=0.5, decay_patience=0)
    )
    training.run(Keeper())
    best = float("inf")
    for epoch, after in zip(training.history, training.history[1:], strict=False):
        better = (epoch.validation_loss or 0) < best * (1 - 1e-4)
        best = min(best, epoch.validation_loss or 0)
        factor = 1 if better else 0.5
        assert after.learning_rate == pytest.approx(epoch.learning_rate * factor)
    assert training.history[-1].learning_rate < 0.1


@pytest.mark.parametrize("steps", [1, 17, 25], ids=["first step", "end of an epoch", "within one"])
@pytest.mark.parametrize(
    "options",
    [
        {"rotation": 10.0, "elastic": 0.5, "spoiled": 0.25},
        {"non_digits": 0.25, "shift": 1.0},
        slow({"optimiser": "sgd", "schedule": "plateau", "ema": 0.9, "patience": 2}),
        slow({"optimiser": "muon"}),
        slow({"optimiser": "adamw", "schedule": "step", "decay_every": 1, "weight_decay": 0.1}),
        slow({"schedule": "cosine", "dropout1": 0.3, "validation": 0.0}),
    ],
    ids=[
        "augmented",
        "non-digits",
        "sgd plateau average",
        "muon",
        "adamw step",
        "dropout, no validation",
    ],
)
def test_a_resumed_training_reaches_the_weights_of_an_uninterrupted_one(
    steps: int,
    options: dict[str, Any],
    new_training: Callable[..., Training],
    whole: Callable[[Recipe], Training],
) -> None:
    recipe = recipe_with(**options)
    first, rest = new_training(recipe), new_training(recipe)
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
    "options",
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
    ids=lambda options: next(iter(options)),
)
def test_every_option_changes_the_learned_weights(
    options: dict[str, Any], whole: Callable[[Recipe], Training]
) -> None:
    varied = {"epochs": 1, "plain_epochs": 0}
    one, other = whole(recipe_with(**varied)), whole(recipe_with(**varied | options))
    assert not same(one.best["weights"], other.best["weights"])


def test_sgd_uses_the_momentum_of_the_recipe(new_training: Callable[..., Training]) -> None:
    training = new_training(recipe_with(optimiser="sgd", momentum=0.5, epochs=1))
    training.run(Keeper())
    (group,) = training.state()["optimiser"]["param_groups"]
    assert (group["momentum"], group["nesterov"]) == (0.5, True)


@pytest.mark.parametrize("network", ["compact", "mlp"])
def test_muon_trains_filters_of_norm_1_and_the_other_weights_as_sgd(
    network: str, new_training: Callable[..., Training], whole: Callable[[Recipe], Training]
) -> None:
    options: dict[str, Any] = {"network": network, "epochs": 1}
    training = new_training(recipe_with(optimiser="muon", **options))
    training.run(Keeper())
    sgd = whole(recipe_with(optimiser="sgd", **options))
    filters = [each for each in training.state()["network"].values() if each.ndim == 4]
    assert len(filters) == (3 if network == "compact" else 0)
    for each in filters:  # (filters, channels, h, w)
        assert each.square().sum() / len(each) == pytest.approx(1, rel=0.05)
    assert same(training.best["weights"], sgd.best["weights"]) == (not filters)


@pytest.mark.slow
def test_keep_chooses_between_best_and_last_weights(new_training: Callable[..., Training]) -> None:
    options: dict[str, Any] = {"optimiser": "adam", "learning_rate": 0.03, "schedule": "none"}
    options |= {"epochs": 8, "validation": 0.4}
    best, last = (
        new_training(recipe_with(keep="best", **options)),
        new_training(recipe_with(keep="last", **options)),
    )
    best.run(Keeper())
    last.run(Keeper())
    assert best.kept["epoch"] == last.best["epoch"] < 8
    assert last.kept["epoch"] == 8
    assert same(best.kept["weights"], last.best["weights"])
    assert same(last.kept["weights"], last.state()["network"])


@pytest.mark.slow
def test_another_seed_gives_other_weights(new_training: Callable[..., Training]) -> None:
    one, other = new_training(SHORT), new_training(replace(SHORT, seed=1))
    one.run(Keeper())
    other.run(Keeper())
    assert not same(one.best["weights"], other.best["weights"])


def test_the_validation_split_depends_on_its_own_seed(part: Part) -> None:
    def held_out(recipe: Recipe) -> bytes:
        found = split(part, recipe)[1]
        assert found is not None
        assert len(found) == 30
        return found.pixels.numpy().tobytes()

    assert held_out(SHORT) == held_out(replace(SHORT, seed=7))
    assert held_out(SHORT) != held_out(replace(SHORT, validation_seed=1))


def test_validation_never_takes_the_last_training_image_of_a_class() -> None:
    labels = torch.tensor([0] * 30 + [1, 2, 2])
    part = Part(torch.zeros(33, 28, 28, dtype=torch.uint8), labels)
    for seed in range(10):
        recipe = replace(RECIPE, batch_size=2, validation=0.5, validation_seed=seed)
        train, held_out = split(part, recipe)
        assert held_out is not None
        assert (set(train.labels.tolist()), len(held_out)) == ({0, 1, 2}, 16)
    few, recipe = Part(part.pixels[:3], torch.tensor([0, 1, 2])), replace(recipe, validation=0.3)
    with pytest.raises(BadRecipe, match="none can be held out: use --validation 0"):
        split(few, recipe)
    with pytest.raises(
        BadRecipe, match=r"too few .* \(1 of 2 is held out for validation\): add some, or use"
    ):
        split(Part(few.pixels[:2], few.labels[:2]), recipe)


def test_a_batch_larger_than_the_data_is_refused(part: Part) -> None:
    with pytest.raises(BadRecipe, match=r"600, more than the 570 .* \(30 of 600 are held"):
        split(part, replace(RECIPE, batch_size=600))


def test_patience_stops_a_training_that_makes_no_progress(
    new_training: Callable[..., Training],
) -> None:
    training = new_training(recipe_with(epochs=50, patience=2, min_delta=1.0, learning_rate=1e-6))
    training.run(Keeper())
    assert len(training.history) == 3  # the first epoch counts as progress; the next two do not


def test_the_averaged_weights_are_evaluated_and_kept(new_training: Callable[..., Training]) -> None:
    recipe = recipe_with(ema=0.9, validation=0.0)  # so that the last epoch is the best
    training = new_training(recipe)
    training.run(Keeper())
    kept, last = training.best["weights"], training.state()["network"]
    assert training.best["epoch"] == recipe.epochs
    assert not same(kept, last)
    # The average is close to the last weights; the initial weights are far away.
    first = new_training(recipe).state()["network"]
    assert distance(kept, last) < 0.5 * distance(first, last)
    assert average_of(SHORT, nn.Linear(1, 1)) is None


def test_a_distilled_network_also_learns_the_errors_of_its_teacher(
    new_training: Callable[..., Training],
) -> None:
    class Wrong(nn.Module):
        """Predicts 3 for every image."""

        def forward(self, ink: Tensor) -> Tensor:
            return torch.nn.functional.one_hot(torch.full((len(ink),), 3), 10) * 20.0

    training = new_training(recipe_with(distillation=1.0), (Wrong(),))
    training.run(Keeper())
    network = build("compact", classes=10, dropout1=0, dropout2=0.1)
    network.load_state_dict(training.best["weights"])
    answers = logits_of(network, torch.zeros(5, 28, 28, dtype=torch.uint8)).argmax(1)
    assert answers.tolist() == [3] * 5
