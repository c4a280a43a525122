"""Augmentation bends pictures within its knobs, and leaves alone what they leave at 0."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from training.augment import augment
from training.recipe import Recipe

STILL = Recipe(rotation=0, scale=0, aspect=0, shear=0, shift=0, elastic=0, stroke=0)


@pytest.fixture
def ink() -> Tensor:
    """Sixteen pictures of a bar 4 wide and 16 high, in the middle."""
    sheet = torch.zeros(16, 1, 28, 28)
    sheet[:, :, 6:22, 12:16] = 1
    return sheet


def bent(ink: Tensor, **knobs: float) -> Tensor:
    return augment(ink, replace(STILL, **knobs), torch.Generator().manual_seed(0))  # type: ignore[arg-type]


def centre(ink: Tensor) -> Tensor:
    """x and y of each picture's centre of mass, (n, 2)."""
    axis = torch.arange(28.0)
    mass = ink.sum((1, 2, 3))
    return torch.stack([(ink.sum((1, 2)) @ axis) / mass, (ink.sum((1, 3)) @ axis) / mass], 1)


def test_with_every_knob_at_zero_pictures_stay_as_they_are(ink: Tensor) -> None:
    torch.testing.assert_close(bent(ink), ink, atol=1e-5, rtol=0)


def test_shift_moves_each_picture_its_own_way_and_no_farther_than_allowed(ink: Tensor) -> None:
    moved = centre(bent(ink, shift=2)) - centre(ink)
    assert moved.abs().max() <= 2.01
    assert moved.std(0).min() > 0.5


def test_rotation_turns_about_the_middle(ink: Tensor) -> None:
    turned = bent(ink, rotation=20)
    torch.testing.assert_close(centre(turned), centre(ink), atol=0.1, rtol=0)
    assert (turned[:, :, 6, 12:16].sum() < ink[:, :, 6, 12:16].sum()).item()


@pytest.mark.parametrize("knob", ["scale", "stroke"])
def test_scale_and_stroke_change_the_amount_of_ink_both_ways(ink: Tensor, knob: str) -> None:
    amount = bent(ink, **{knob: 0.5}).sum((1, 2, 3)) / ink.sum((1, 2, 3))
    assert amount.min() < 0.9
    assert amount.max() > 1.1


def test_ink_stays_within_its_range(ink: Tensor) -> None:
    wild = bent(ink, rotation=15, scale=0.25, aspect=0.3, shear=0.4, shift=2, elastic=0.8, stroke=1)
    assert wild.min() >= 0
    assert wild.max() <= 1
    assert wild.shape == ink.shape


def test_the_same_seed_gives_the_same_pictures(ink: Tensor) -> None:
    knobs = {"rotation": 10.0, "elastic": 1.0, "stroke": 1.0}
    assert torch.equal(bent(ink, **knobs), bent(ink, **knobs))
