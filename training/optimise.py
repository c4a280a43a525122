"""PyTorch's optimisers and learning rate schedules for a recipe."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.recipe import Recipe

# A shorter memory than Adam's default of 0.999 suits trainings of a few minutes. One-cycle moves
# the first value between 0.95 and 0.85, inversely to the learning rate.
BETAS = (0.9, 0.99)

# Muon's updates of filters, whose norm is 1, are that fraction of the learning rate.
FILTER_RATE = 0.2
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of x, x**3 and x**5; Jordan et al., see Muon
ITERATIONS = 3


def optimiser_of(recipe: Recipe, network: nn.Module) -> optim.Optimizer:
    weights, rate, decay = network.parameters(), recipe.learning_rate, recipe.weight_decay
    momentum = recipe.momentum
    if recipe.optimiser == "sgd":
        return optim.SGD(weights, rate, momentum, nesterov=momentum > 0, weight_decay=decay)
    if recipe.optimiser == "muon":
        precision = torch.bfloat16 if recipe.mixed_precision else torch.float32
        return Muon(network, rate, momentum, decay, precision)
    kind = optim.AdamW if recipe.optimiser == "adamw" else optim.Adam
    return kind(weights, rate, BETAS, weight_decay=decay)


class Muon(optim.SGD):
    """SGD, where the update of a convolution is orthogonalised: for short trainings.

    Jordan et al., "Muon: an optimizer for hidden layers in neural networks". PyTorch's Muon accepts
    matrices only, and no other weights beside them. A filter's weights are a row of the matrix;
    their scale has no effect where BatchNorm follows, so they are kept at norm 1 on average.
    """

    def __init__(
        self, network: nn.Module, rate: float, momentum: float, decay: float, precision: torch.dtype
    ) -> None:
        """`decay` is for the weights of other layers. `precision` is that of the matrices."""
        weights = [each for each in network.parameters() if each.requires_grad]
        filters = [each for each in weights if each.ndim == 4]
        others = [each for each in weights if each.ndim != 4]
        own: dict[str, Any] = {"params": filters, "lr": rate * FILTER_RATE}
        own |= {"momentum": 0.0, "nesterov": False, "weight_decay": 0.0}
        super().__init__(
            [{"params": others}, own], rate, momentum, nesterov=momentum > 0, weight_decay=decay
        )
        self._momentum, self._precision = momentum, precision

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for weights in self.param_groups[1]["params"]:  # (filters, channels, h, w)
            if weights.grad is None:
                continue
            state = self.state[weights]
            if "mean_gradient" not in state:
                state["mean_gradient"] = torch.zeros_like(weights)
            mean = state["mean_gradient"].mul_(self._momentum).add_(weights.grad)
            ahead = weights.grad.add(mean, alpha=self._momentum).flatten(1)
            weights.grad = _orthogonal(ahead.to(self._precision)).view_as(weights).to(weights.dtype)
            weights.mul_(len(weights) ** 0.5 / weights.norm())
        return super().step(closure)


def _orthogonal(matrix: Tensor) -> Tensor:
    """Nearly the orthogonal matrix next to `matrix` (n, m): its singular values become about 1."""
    a, b, c = COEFFICIENTS
    tall = len(matrix) > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    orthogonal: Tensor = x.T if tall else x
    return orthogonal


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
        [group["lr"] for group in optimiser.param_groups],
        total_steps=steps,
        pct_start=0.3,
        cycle_momentum=recipe.optimiser in ("adam", "adamw"),  # that of others is an option
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
