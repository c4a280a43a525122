"""Augments a whole batch of images at once, with tensor operations.

    images (n, c, h, w), 0..1 --affine and elastic warp--stroke width--spoil some--> same shape
                              --flip, crop, colour, cutout-------------------------> same shape

The first row is for digits, the second one for photographs; options that are 0 cost no time.
Spoiling makes a network robust: one that has only seen clean paper predicts at random on grey
paper, in fog or under noise. It affects only a part of each batch, so that most images are clean,
like those of the test set.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (its usual name)

from contract.card import SIDE
from training.recipe import BadRecipe, Recipe

Transform = Callable[[Any], Any]  # an image (c, h, w) float32, 0..1 -> the same shape

INK = (1, SIDE, SIDE)  # channels, height and width of images of digits
WARPS = ("rotation", "scale", "aspect", "shear", "shift", "elastic")  # options that move pixels


def augment(images: Tensor, recipe: Recipe, random: torch.Generator) -> Tensor:
    """A new image for each of `images` (n, c, h, w), 0..1.

    The images must be in random order, because the first of them are spoiled. `random` and
    `images` must be on the same device.
    """
    spoiled = round(len(images) * recipe.spoiled)
    if any(getattr(recipe, option) for option in WARPS) or (spoiled and recipe.displacement):
        grid = _affine(images, recipe, spoiled, random)
        if recipe.elastic:
            grid = grid + _elastic(images, recipe.elastic, random)
        # Outside of an image of ink is paper; outside of others is what they show at their edges.
        outside = "zeros" if images.shape[1:] == INK else "reflection"
        images = F.grid_sample(images, grid, padding_mode=outside, align_corners=False)
    if recipe.stroke:
        images = _restroke(images, recipe.stroke, random)
    if spoiled:
        images = torch.cat([_spoil(images[:spoiled], recipe, random), images[spoiled:]])
    if recipe.flip:
        mirrored = _uniform((len(images), 1, 1, 1), random) < recipe.flip
        images = torch.where(mirrored, images.flip(3), images)
    if recipe.crop:
        images = _cropped(images, recipe.crop, random)
    if recipe.colour:
        images = _recoloured(images, recipe.colour, random)
    if recipe.cutout:
        images = _cut_out(images, recipe.cutout, random)
    return images


def transformed(images: Tensor, transform: Transform) -> Tensor:
    """Each of `images` (n, c, h, w), 0..1, by a user's own function; BadRecipe if that fails."""
    try:
        result = torch.stack([torch.as_tensor(transform(image)) for image in images])
    except Exception as error:  # whatever the user's code raises
        raise BadRecipe(
            f"transform fails on a float tensor (c, h, w): {type(error).__name__}: {error}; leave "
            "out ToTensor, because images are tensors already"
        ) from error
    if result.shape != images.shape:
        raise BadRecipe(
            f"transform makes {tuple(result.shape[1:])} of an image of {tuple(images.shape[1:])}, "
            "it must keep the shape"
        )
    if result.min() < -0.5 or result.max() > 1.5:
        raise BadRecipe(
            f"transform makes values from {result.min():.2f} to {result.max():.2f} of 0..1: leave "
            "out Normalize, which is part of the network"
        )
    return result.to(torch.float32)


def _affine(images: Tensor, recipe: Recipe, spoiled: int, random: torch.Generator) -> Tensor:
    """The source of each output pixel, (n, h, w, 2), in the -1..1 of grid_sample.

    The first `spoiled` images may be displaced further than the others.
    """
    n, _, height, width = images.shape

    def within(limit: float) -> Tensor:
        return (_uniform((n,), random) * 2 - 1) * limit  # (n,)

    angle = within(math.radians(recipe.rotation))
    size = torch.exp(within(math.log1p(recipe.scale)))
    aspect = torch.exp(within(math.log1p(recipe.aspect)) / 2)
    shear = within(recipe.shear)
    cos, sin = torch.cos(angle), torch.sin(angle)
    reach = torch.full((n,), recipe.shift, device=random.device)
    reach[:spoiled] += recipe.displacement
    shift = [within(2 / side) * reach for side in (width, height)]
    wide, high = size * aspect, size / aspect
    along_x = torch.stack([cos * wide, sin * high], 1)[:, None, None]  # (n, 1, 1, 2)
    along_y = torch.stack([(shear * cos - sin) * wide, (shear * sin + cos) * high], 1)
    across, down = (_centres(side, random) for side in (width, height))
    rows = along_y[:, None] * down[:, None] + torch.stack(shift, 1)[:, None]  # (n, h, 2)
    return along_x * across[:, None] + rows[:, :, None]  # takes a third of affine_grid's time


def _centres(side: int, random: torch.Generator) -> Tensor:
    """The places of a row's pixel centres, (side,), from -1 to 1."""
    return (torch.arange(side, device=random.device) * 2 + 1) / side - 1


def _elastic(images: Tensor, pixels: float, random: torch.Generator) -> Tensor:
    """A smooth displacement (n, h, w, 2): 5x5 random vectors, interpolated."""
    n, _, height, width = images.shape
    coarse = _normal((n, 2, 5, 5), random) * (pixels * 2 / height)
    fine = F.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)
    return fine.permute(0, 2, 3, 1)  # (n, h, w, 2)


def _restroke(ink: Tensor, amount: float, random: torch.Generator) -> Tensor:
    """Thicker or thinner strokes: blur, then threshold the slope at a random level."""
    blurred = F.avg_pool2d(ink, 3, stride=1, padding=1)  # (n, 1, 28, 28)
    spread = (_uniform((len(ink), 1, 1, 1), random) * 2 - 1) * 0.3 * amount
    # Within 0.2..0.8 a slope of 2.5 leaves paper at 0 and full ink at 1.
    return torch.clamp((blurred - (0.5 + spread)) * 2.5 + 0.5, 0, 1)


# ---- spoiling --------------------------------------------------------------------------------


def _spoil(ink: Tensor, recipe: Recipe, random: torch.Generator) -> Tensor:
    if recipe.outline:
        ink = _hollow(ink, recipe.outline, random)
    if recipe.line:
        ink = _crossed(ink, recipe.line, random)
    if recipe.blur:
        ink = _blurred(ink, recipe.blur, random)
    if recipe.contrast:
        ink = _grey(ink, recipe.contrast, random)
    if recipe.erasing:
        ink = _erased(ink, recipe.erasing, random)
    if recipe.noise:
        level = _uniform((len(ink), 1, 1, 1), random) * recipe.noise
        ink = torch.clamp(ink + _normal(tuple(ink.shape), random) * level, 0, 1)
    return ink


def _hollow(ink: Tensor, share: float, random: torch.Generator) -> Tensor:
    """A share of the images as outlines: the pixels around the ink, and no longer the ink."""
    around = F.max_pool2d(ink, 3, stride=1, padding=1) - ink
    hollow = _uniform((len(ink), 1, 1, 1), random) < share
    return torch.where(hollow, around, ink)


def _crossed(ink: Tensor, share: float, random: torch.Generator) -> Tensor:
    """A wavy line from side to side on a share of the images."""

    def one(low: float, high: float) -> Tensor:
        return low + _uniform((len(ink), 1), random) * (high - low)  # (n, 1)

    axis = torch.arange(SIDE, device=ink.device)
    along = axis / (SIDE - 1)  # (28,)
    left, right, height, waves, phase = (
        one(0, SIDE),
        one(0, SIDE),
        one(0, 4),
        one(0.5, 4),
        one(0, 1),
    )
    middle = left + (right - left) * along + height * torch.sin(math.tau * (waves * along + phase))
    slope = torch.gradient(middle, dim=1)[0]  # (n, 28)
    across = (axis[:, None] - middle[:, None]).abs() / (1 + slope**2).sqrt()[:, None]  # (n, 28, 28)
    line = torch.clamp(one(0.8, 1.6)[:, None] - across, 0, 1)[:, None]
    crossed = _uniform((len(ink), 1, 1, 1), random) < share
    return torch.where(crossed, torch.maximum(ink, line), ink)


def _blurred(ink: Tensor, most: float, random: torch.Generator) -> Tensor:
    """Out of focus, and moved in one direction: a Gaussian with two standard deviations."""
    each = (len(ink), 1, 1)
    angle = _uniform(each, random) * math.pi
    along = _uniform(each, random) ** 2 * most + 0.1  # mostly little
    across = along * _uniform(each, random).clamp(0.1)
    reach = min(math.ceil(2 * most), SIDE // 2)
    axis = torch.arange(-reach, reach + 1, device=ink.device)
    x, y = axis[None, None], axis[None, :, None]
    forward = (x * torch.cos(angle) + y * torch.sin(angle)) / along
    sideways = (y * torch.cos(angle) - x * torch.sin(angle)) / across.clamp(0.3)
    bell = torch.exp(-(forward**2 + sideways**2) / 2)  # (n, k, k)
    bell = (bell / bell.sum((1, 2), keepdim=True))[:, None]
    return F.conv2d(ink.transpose(0, 1), bell, padding=reach, groups=len(ink)).transpose(0, 1)


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


# ---- photographs -----------------------------------------------------------------------------


def _cropped(images: Tensor, most: float, random: torch.Generator) -> Tensor:
    """Shifted by whole pixels, which blurs nothing; the edges are mirrored."""
    n, _, height, width = images.shape
    margins = [max(1, round(side * most)) for side in (height, width)]
    down, right = margins
    padded = F.pad(images, (right, right, down, down), mode="reflect")
    rows, columns = (
        torch.randint(2 * margin + 1, (n, 1), generator=random, device=random.device)
        + torch.arange(side, device=random.device)
        for margin, side in zip(margins, (height, width), strict=True)
    )  # (n, h), (n, w)
    which = torch.arange(n, device=random.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)


def _recoloured(images: Tensor, amount: float, random: torch.Generator) -> Tensor:
    """Other brightness, contrast and, of colour images, saturation."""

    def factor() -> Tensor:
        return 1 + (_uniform((len(images), 1, 1, 1), random) * 2 - 1) * amount

    middle = images.mean((1, 2, 3), keepdim=True)
    images = ((images - middle) * factor() + middle) * factor()
    if images.shape[1] == 3:
        gray = images.mean(1, keepdim=True)
        images = gray + (images - gray) * factor()
    return images.clamp(0, 1)


def _cut_out(images: Tensor, side: float, random: torch.Generator) -> Tensor:
    """A gray square at a random place, partly outside at the edges."""
    n = len(images)

    def inside(length: int) -> Tensor:
        middle = _uniform((n, 1), random) * length
        pixel = torch.arange(length, device=random.device) + 0.5
        return (pixel - middle).abs() < length * side / 2  # (n, length)

    rows, columns = inside(images.shape[2]), inside(images.shape[3])
    return images.masked_fill((rows[:, :, None] & columns[:, None])[:, None], 0.5)


def _uniform(shape: tuple[int, ...], random: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=random, device=random.device)


def _normal(shape: tuple[int, ...], random: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=random, device=random.device)
