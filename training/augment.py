"""Augments a whole batch of images at once, with tensor operations.

    ink (n, 1, 28, 28) --affine and elastic warp--stroke width--spoil some--> ink, same shape

Spoiling makes a network robust: one that has only seen clean paper predicts at random on grey
paper, in fog or under noise. It affects only a part of each batch, so that most images are clean,
like those of the test set.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (its usual name)

from contract.card import SIDE
from training.recipe import Recipe

WARPS = ("rotation", "scale", "aspect", "shear", "shift", "elastic")  # options that move ink


def augment(ink: Tensor, recipe: Recipe, random: torch.Generator) -> Tensor:
    """A new image for each of `ink` (n, 1, 28, 28), 0..1. Options that are 0 cost no time.

    The images must be in random order, because the first of them are spoiled. `random` and `ink`
    must be on the same device.
    """
    if any(getattr(recipe, option) for option in WARPS):
        grid = _affine(len(ink), recipe, random)
        if recipe.elastic:
            grid = grid + _elastic(len(ink), recipe.elastic, random)
        ink = F.grid_sample(ink, grid, align_corners=False)  # (n, 1, 28, 28); outside is paper
    if recipe.stroke:
        ink = _restroke(ink, recipe.stroke, random)
    if spoiled := round(len(ink) * recipe.spoiled):
        ink = torch.cat([_spoil(ink[:spoiled], recipe, random), ink[spoiled:]])
    return ink


def _affine(n: int, recipe: Recipe, random: torch.Generator) -> Tensor:
    """The source of each output pixel, (n, 28, 28, 2), in the -1..1 of grid_sample."""

    def within(limit: float) -> Tensor:
        return (_uniform((n,), random) * 2 - 1) * limit  # (n,)

    angle = within(math.radians(recipe.rotation))
    size = torch.exp(within(math.log1p(recipe.scale)))
    aspect = torch.exp(within(math.log1p(recipe.aspect)) / 2)
    shear = within(recipe.shear)
    cos, sin = torch.cos(angle), torch.sin(angle)
    shift = [within(recipe.shift * 2 / SIDE) for _ in range(2)]
    wide, high = size * aspect, size / aspect
    along_x = torch.stack([cos * wide, sin * high], 1)[:, None, None]  # (n, 1, 1, 2)
    along_y = torch.stack([(shear * cos - sin) * wide, (shear * sin + cos) * high], 1)
    place = (torch.arange(SIDE, device=random.device) * 2 + 1) / SIDE - 1  # of pixel centres, -1..1
    rows = along_y[:, None] * place[:, None] + torch.stack(shift, 1)[:, None]  # (n, 28, 2)
    return along_x * place[:, None] + rows[:, :, None]  # takes a third of affine_grid's time


def _elastic(n: int, pixels: float, random: torch.Generator) -> Tensor:
    """A smooth displacement (n, 28, 28, 2): 5x5 random vectors, interpolated."""
    coarse = _normal((n, 2, 5, 5), random) * (pixels * 2 / SIDE)
    fine = F.interpolate(coarse, (SIDE, SIDE), mode="bicubic", align_corners=True)
    return fine.permute(0, 2, 3, 1)  # (n, 28, 28, 2)


def _restroke(ink: Tensor, amount: float, random: torch.Generator) -> Tensor:
    """Thicker or thinner strokes: blur, then threshold the slope at a random level."""
    blurred = F.avg_pool2d(ink, 3, stride=1, padding=1)  # (n, 1, 28, 28)
    spread = (_uniform((len(ink), 1, 1, 1), random) * 2 - 1) * 0.3 * amount
    # Within 0.2..0.8 a slope of 2.5 leaves paper at 0 and full ink at 1.
    return torch.clamp((blurred - (0.5 + spread)) * 2.5 + 0.5, 0, 1)


# ---- spoiling --------------------------------------------------------------------------------


def _spoil(ink: Tensor, recipe: Recipe, random: torch.Generator) -> Tensor:
    if recipe.contrast:
        ink = _grey(ink, recipe.contrast, random)
    if recipe.erasing:
        ink = _erased(ink, recipe.erasing, random)
    if recipe.noise:
        level = _uniform((len(ink), 1, 1, 1), random) * recipe.noise
        ink = torch.clamp(ink + _normal(tuple(ink.shape), random) * level, 0, 1)
    return ink


def _grey(ink: Tensor, amount: float, random: torch.Generator) -> Tensor:
    """Unevenly lit paper, and paler ink."""
    each = (len(ink), 1, 1, 1)
    greyest = _uniform(each, random) * amount
    clouds = F.interpolate(
        _uniform((len(ink), 1, 4, 4), random), (SIDE, SIDE), mode="bilinear", align_corners=True
    )  # (n, 1, 28, 28)
    paper = greyest * (1 - _uniform(each, random) * clouds)
    pen = greyest + (1 - greyest) * (1 - _uniform(each, random) * amount)
    return paper + (pen - paper) * ink


def _erased(ink: Tensor, most: float, random: torch.Generator) -> Tensor:
    """A random rectangle, either of one grey or with ink and paper swapped."""
    n = len(ink)
    area = _uniform((n,), random) * most * SIDE * SIDE
    aspect = torch.exp((_uniform((n,), random) * 2 - 1) * math.log(4))
    pixel = torch.arange(SIDE, device=ink.device) + 0.5

    def inside(length: Tensor) -> Tensor:
        middle = _uniform((n, 1), random) * SIDE
        return (pixel - middle).abs() < length[:, None] / 2  # (n, 28)

    columns, rows = inside((area * aspect).sqrt()), inside((area / aspect).sqrt())
    lost = (rows[:, :, None] & columns[:, None, :])[:, None]  # (n, 1, 28, 28)
    swapped = _uniform((n, 1, 1, 1), random) < 0.5
    flat = _uniform((n, 1, 1, 1), random)
    return torch.where(lost, torch.where(swapped, 1 - ink, flat), ink)


def _uniform(shape: tuple[int, ...], random: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=random, device=random.device)


def _normal(shape: tuple[int, ...], random: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=random, device=random.device)
