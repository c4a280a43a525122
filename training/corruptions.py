"""Fifteen corruptions of test images in the manner of MNIST-C.

    ink (n, 1, 28, 28) float32, 0..1 --one corruption--> the same shape and range

The kinds and strengths follow MNIST-C (Mu & Gilmer, arXiv 1906.02337), but the implementation is
independent: results are comparable among networks evaluated here, not exactly with the paper's.
Each corruption is seeded, so the same images are always corrupted in the same way.

No corruption is used for training: `augment` has its own noise, grey paper, blots, blur, lines and
outlines. docs/how-to/training.md lists the corruptions that resemble them.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (its usual name)

from contract.card import SIDE

Corruption = Callable[[Tensor, torch.Generator], Tensor]


def corrupted(name: str, ink: Tensor) -> Tensor:
    """`ink` (n, 1, 28, 28) after the corruption `name`, always the same for the same ink."""
    random = torch.Generator().manual_seed(sum(name.encode()))
    return CORRUPTIONS[name](ink, random).clamp(0, 1)


# ---- noise -----------------------------------------------------------------------------------


def _shot_noise(ink: Tensor, random: torch.Generator) -> Tensor:
    """As if each full pixel had caught three photons on average."""
    return torch.poisson(ink * 3, generator=random) / 3


def _impulse_noise(ink: Tensor, random: torch.Generator) -> Tensor:
    """Every sixth pixel becomes paper or full ink."""
    draw = torch.rand(ink.shape, generator=random)
    return torch.where(draw < 0.085, 0.0, torch.where(draw > 1 - 0.085, 1.0, ink))


# ---- blur ------------------------------------------------------------------------------------


def _glass_blur(ink: Tensor, random: torch.Generator) -> Tensor:
    """Blurred, with each pixel taken from a neighbour, as through frosted glass; twice."""
    for _ in range(2):
        step = torch.randint(-1, 2, (len(ink), 2, SIDE, SIDE), generator=random)
        grid = _still(len(ink)) + step.permute(0, 2, 3, 1) * 2 / SIDE
        ink = F.grid_sample(_soft(ink, 0.7), grid, mode="nearest", align_corners=False)
    return _soft(ink, 0.7)


def _motion_blur(ink: Tensor, random: torch.Generator) -> Tensor:
    """A camera that moved by about 7 pixels in any direction."""
    angle = _within(len(ink), math.pi / 2, random)
    way = torch.stack([torch.cos(angle), torch.sin(angle)], 1)[:, None, None] * 2 / SIDE
    steps = torch.linspace(-3.5, 3.5, 15)  # pixels
    weights = torch.exp(-(steps**2) / (2 * 3.0**2))
    smeared = [
        weight * F.grid_sample(ink, _still(len(ink)) + way * step, align_corners=False)
        for step, weight in zip(steps, weights, strict=True)
    ]
    return torch.stack(smeared).sum(0) / weights.sum()


# ---- geometry --------------------------------------------------------------------------------


def _shear(ink: Tensor, random: torch.Generator) -> Tensor:
    return _warped(ink, shear=0.4 * _sign(len(ink), random))


def _scale(ink: Tensor, random: torch.Generator) -> Tensor:
    """Scaled to seven tenths of its size."""
    return _warped(ink, zoom=torch.full((len(ink),), 1 / 0.7))


def _rotate(ink: Tensor, random: torch.Generator) -> Tensor:
    """Rotated by 20 to 30 degrees."""
    degrees = (25 + _within(len(ink), 5, random)) * _sign(len(ink), random)
    return _warped(ink, angle=torch.deg2rad(degrees))


def _translate(ink: Tensor, random: torch.Generator) -> Tensor:
    """Moved by 3 to 4 pixels in both directions."""
    shifts = [(3.5 + _within(len(ink), 0.5, random)) * _sign(len(ink), random) for _ in range(2)]
    return _warped(ink, shift=torch.stack(shifts, 1))


# ---- light -----------------------------------------------------------------------------------


def _brightness(ink: Tensor, random: torch.Generator) -> Tensor:
    """Everything brighter by half: the paper is grey, the ink is unchanged."""
    return ink + 0.5


def _fog(ink: Tensor, random: torch.Generator) -> Tensor:
    """Clouds of several sizes, twice as bright as the digit."""
    clouds = torch.zeros_like(ink)
    for octave in range(1, 5):  # 2, 4, 8, 16 cells a side
        coarse = torch.rand(len(ink), 1, 2**octave + 1, 2**octave + 1, generator=random)
        clouds += F.interpolate(coarse, (SIDE, SIDE), mode="bicubic", align_corners=True) / octave
    low, high = clouds.amin((1, 2, 3), keepdim=True), clouds.amax((1, 2, 3), keepdim=True)
    return (ink + 2 * (clouds - low) / (high - low)) / 3


# ---- objects in the image ---------------------------------------------------------------------


def _stripe(ink: Tensor, random: torch.Generator) -> Tensor:
    """A band of 7 pixels at each side, with ink and paper swapped."""
    band = torch.zeros(SIDE, dtype=torch.bool)
    band[:7] = band[-7:] = True
    return torch.where(band, 1 - ink, ink)


def _spatter(ink: Tensor, random: torch.Generator) -> Tensor:
    """Drops of mud, about half as strong as ink, over about a tenth of the image."""
    field = _soft(torch.randn(ink.shape, generator=random), 1.5)
    height = field.flatten(1).quantile(0.9, 1)[:, None, None, None]
    drops = ((field - height) / field.std() * 4).clamp(0, 1)
    return torch.maximum(ink, drops * 0.6)


def _dotted_line(ink: Tensor, random: torch.Generator) -> Tensor:
    """A straight row of dots from one side of the image to the other."""
    heights = torch.rand(len(ink), 2, generator=random) * SIDE  # left end, right end
    along = torch.linspace(0, SIDE - 1, 10)
    across = heights[:, :1] + (heights[:, 1:] - heights[:, :1]) * along / SIDE  # (n, 10)
    return torch.maximum(ink, _dots(along.expand(len(ink), -1), across))


def _zigzag(ink: Tensor, random: torch.Generator) -> Tensor:
    """A line from side to side that turns up and down five times."""
    ends = 4 + torch.rand(len(ink), 2, generator=random) * (SIDE - 8)
    along = torch.linspace(0, 1, 60)
    wave = 3 * (2 * torch.abs(2 * (along * 3 % 1) - 1) - 1)  # pixels
    across = ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * along + wave  # (n, 60)
    return torch.maximum(ink, _dots((along * (SIDE - 1)).expand(len(ink), -1), across))


def _edges(ink: Tensor, random: torch.Generator) -> Tensor:
    """Only the outlines, a pixel wide: where the gradient is large and a local maximum."""
    sobel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    kernels = torch.stack([sobel, sobel.T])[:, None]  # (2, 1, 3, 3)
    slope = F.conv2d(_soft(ink, 1.0), kernels, padding=1)  # (n, 2, 28, 28): along x, along y
    steep = slope.norm(dim=1, keepdim=True)
    step = (slope / (steep + 1e-6)).permute(0, 2, 3, 1) * 2 / SIDE  # one pixel up the slope
    beside = [
        F.grid_sample(steep, _still(len(ink)) + way * step, align_corners=False) for way in (1, -1)
    ]
    ridge: Tensor = (steep >= beside[0]) & (steep > beside[1]) & (steep > 0.4)
    return ridge.float()


CORRUPTIONS: dict[str, Corruption] = {
    "shot noise": _shot_noise,
    "impulse noise": _impulse_noise,
    "glass blur": _glass_blur,
    "motion blur": _motion_blur,
    "shear": _shear,
    "scale": _scale,
    "rotate": _rotate,
    "brightness": _brightness,
    "translate": _translate,
    "stripe": _stripe,
    "spatter": _spatter,
    "dotted line": _dotted_line,
    "zigzag": _zigzag,
    "fog": _fog,
    "edges": _edges,
}


# ---- tools -----------------------------------------------------------------------------------


def _within(n: int, limit: float, random: torch.Generator) -> Tensor:
    return (torch.rand(n, generator=random) * 2 - 1) * limit  # (n,)


def _sign(n: int, random: torch.Generator) -> Tensor:
    return torch.randint(0, 2, (n,), generator=random) * 2.0 - 1  # (n,), -1 or 1


def _still(n: int) -> Tensor:
    """The grid (n, 28, 28, 2) that leaves images unchanged."""
    return F.affine_grid(torch.eye(2, 3).expand(n, 2, 3), [n, 1, SIDE, SIDE], align_corners=False)


def _warped(
    ink: Tensor,
    *,
    angle: Tensor | None = None,  # radians, (n,); shear (pixels per pixel) and zoom are (n,) too
    shear: Tensor | None = None,
    zoom: Tensor | None = None,
    shift: Tensor | None = None,  # pixels, (n, 2)
) -> Tensor:
    zeros = torch.zeros(len(ink))
    angle = zeros if angle is None else angle
    shear = zeros if shear is None else shear
    zoom = zeros + 1 if zoom is None else zoom
    shift = torch.zeros(len(ink), 2) if shift is None else shift * 2 / SIDE
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    rows = [
        torch.stack([cos, shear * cos - sin, shift[:, 0]], 1),
        torch.stack([sin, shear * sin + cos, shift[:, 1]], 1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1), [len(ink), 1, SIDE, SIDE], align_corners=False)
    return F.grid_sample(ink, grid, align_corners=False)


def _soft(ink: Tensor, deviation: float) -> Tensor:
    """Gaussian blur of `deviation` pixels."""
    axis = torch.arange(-4.0, 5.0)
    bell = torch.exp(-(axis**2) / (2 * deviation**2))
    bell = bell / bell.sum()
    return F.conv2d(F.conv2d(ink, bell[None, None, None], padding=(0, 4)),
                    bell[None, None, :, None], padding=(4, 0))  # fmt: skip


def _dots(x: Tensor, y: Tensor) -> Tensor:
    """Images (n, 1, 28, 28) with a dot of radius 0.8 pixels at each x, y (n, p)."""
    axis = torch.arange(float(SIDE))
    sheet = torch.zeros(len(x), SIDE, SIDE)
    for px, py in zip(x.T, y.T, strict=True):
        squares = (axis - px[:, None])[:, None, :] ** 2 + (axis - py[:, None])[:, :, None] ** 2
        sheet = torch.maximum(sheet, (1.3 - squares.sqrt()).clamp(0, 1))
    return sheet[:, None]
