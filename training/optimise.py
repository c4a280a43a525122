"""PyTorch's optimisers and learning rate schedules for a recipe."""

from collections.abc import Callable

from torch import nn, optim
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.recipe import Recipe

# A shorter memory than Adam's own 0.999 suits trainings of a few minutes. One-cycle moves the first
# between 0.95 and 0.85, against the learning rate.
BETAS = (0.9, 0.99)


def optimiser_of(recipe: Recipe, network: nn.Module) -> optim.Optimizer:
    rate, decay = recipe.learning_rate, recipe.weight_decay
    weights = network.parameters()
    if recipe.optimiser == "sgd":
        nesterov = recipe.momentum > 0
        return optim.SGD(
            weights, rate, momentum=recipe.momentum, nesterov=nesterov, weight_decay=decay
        )
    if recipe.optimiser == "adamw":
        return optim.AdamW(weights, rate, BETAS, weight_decay=decay)
    return optim.Adam(weights, rate, BETAS, weight_decay=decay)


class Schedule:
    """Moves the learning rate: after each step, or after each epoch, as its kind has it."""

    def __init__(self, recipe: Recipe, optimiser: optim.Optimizer, steps: int) -> None:
        """`steps` are those of an epoch."""
        self._per_step = recipe.schedule in ("one-cycle", "cosine")
        self._optimiser = optimiser
        self._schedule = _SCHEDULES[recipe.schedule](recipe, optimiser, recipe.epochs * steps)

    @property
    def learning_rate(self) -> float:
        return float(self._optimiser.param_groups[0]["lr"])

    def after_step(self) -> None:
        if self._per_step:
            self._schedule.step()

    def after_epoch(self, validation_loss: float | None) -> None:
        if isinstance(self._schedule, lr_scheduler.ReduceLROnPlateau):
            assert validation_loss is not None  # the recipe has been checked
            self._schedule.step(validation_loss)
        elif not self._per_step:
            self._schedule.step()

    def state_dict(self) -> dict[str, object]:
        return self._schedule.state_dict()

    def load_state_dict(self, state: dict[str, object]) -> None:
        self._schedule.load_state_dict(state)


_SCHEDULES: dict[str, Callable[[Recipe, optim.Optimizer, int], lr_scheduler.LRScheduler]] = {
    "one-cycle": lambda recipe, optimiser, steps: lr_scheduler.OneCycleLR(
        optimiser,
        recipe.learning_rate,
        total_steps=steps,
        pct_start=0.3,
        cycle_momentum=recipe.optimiser != "sgd",  # whose momentum is a knob
    ),
    "cosine": lambda recipe, optimiser, steps: lr_scheduler.CosineAnnealingLR(optimiser, steps),
    "step": lambda recipe, optimiser, steps: lr_scheduler.StepLR(
        optimiser, recipe.decay_every, recipe.decay_factor
    ),
    "plateau": lambda recipe, optimiser, steps: lr_scheduler.ReduceLROnPlateau(
        optimiser, factor=recipe.decay_factor, patience=recipe.decay_patience
    ),
    "none": lambda recipe, optimiser, steps: lr_scheduler.ConstantLR(optimiser, factor=1),
}


def average_of(recipe: Recipe, network: nn.Module) -> AveragedModel | None:
    """The weights' moving average, BatchNorm's statistics included; None if it is off."""
    if not recipe.ema:
        return None
    mixed = get_ema_multi_avg_fn(recipe.ema)  # type: ignore[no-untyped-call]
    return AveragedModel(network, multi_avg_fn=mixed, use_buffers=True)
