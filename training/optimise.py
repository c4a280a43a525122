"""PyTorch's optimisers and learning rate schedules for a recipe."""

from collections.abc import Callable

from torch import nn, optim
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.recipe import Recipe

# A shorter memory than Adam's default of 0.999 suits trainings of a few minutes. One-cycle moves
# the first value between 0.95 and 0.85, inversely to the learning rate.
BETAS = (0.9, 0.99)


def optimiser_of(recipe: Recipe, network: nn.Module) -> optim.Optimizer:
    weights, rate, decay = network.parameters(), recipe.learning_rate, recipe.weight_decay
    if recipe.optimiser == "sgd":
        momentum = recipe.momentum
        return optim.SGD(weights, rate, momentum, nesterov=momentum > 0, weight_decay=decay)
    kind = optim.AdamW if recipe.optimiser == "adamw" else optim.Adam
    return kind(weights, rate, BETAS, weight_decay=decay)


class Schedule:
    """Changes the learning rate after each step or each epoch, depending on the schedule."""

    def __init__(self, recipe: Recipe, optimiser: optim.Optimizer, steps: int) -> None:
        """`steps` is the number of steps in an epoch."""
        self._per_step = recipe.schedule in ("one-cycle", "cosine")
        self._optimiser = optimiser
        self.scheduler = _SCHEDULES[recipe.schedule](recipe, optimiser, recipe.epochs * steps)

    @property
    def learning_rate(self) -> float:
        return float(self._optimiser.param_groups[0]["lr"])

    def after_step(self) -> None:
        if self._per_step:
            self.scheduler.step()

    def after_epoch(self, validation_loss: float | None) -> None:
        if isinstance(self.scheduler, lr_scheduler.ReduceLROnPlateau):
            assert validation_loss is not None  # the recipe has been checked
            self.scheduler.step(validation_loss)
        elif not self._per_step:
            self.scheduler.step()


_SCHEDULES: dict[str, Callable[[Recipe, optim.Optimizer, int], lr_scheduler.LRScheduler]] = {
    "one-cycle": lambda recipe, optimiser, steps: lr_scheduler.OneCycleLR(
        optimiser,
        recipe.learning_rate,
        total_steps=steps,
        pct_start=0.3,
        cycle_momentum=recipe.optimiser != "sgd",  # whose momentum is an option
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
    """The moving average of weights and BatchNorm statistics; None if the recipe has none."""
    if not recipe.ema:
        return None
    mixed = get_ema_multi_avg_fn(recipe.ema)  # type: ignore[no-untyped-call]
    return AveragedModel(network, multi_avg_fn=mixed, use_buffers=True)
