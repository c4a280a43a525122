"""Augmentation bends and spoils images within its options, and leaves alone what is at 0."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from training.augment import augment, transformed
from training.recipe import BadRecipe, Recipe

STILL: dict[str, Any] = dict.fromkeys(
    ("rotation", "scale", "aspect", "shear", "shift", "elastic", "stroke", "spoiled",
     "displacement", "outline", "line", "blur", "contrast", "noise", "erasing"),
    0.0,
)  # fmt: skip


@pytest.fixture
def ink() -> Tensor:
    """Sixteen images of a centred bar, 4 pixels wide and 16 high."""
    sheet = torch.zeros(16, 1, 28, 28)
    sheet[:, :, 6:22, 12:16] = 1
    return sheet


def bent(ink: Tensor, **options: float) -> Tensor:
    return augment(ink, Recipe.made_of(STILL, options), torch.Generator().manual_seed(0))


def centre(ink: Tensor) -> Tensor:
    """x and y of the centre of mass of each image, (n, 2)."""
    axis = torch.arange(28.0)
    mass = ink.sum((1, 2, 3))
    return torch.stack([(ink.sum((1, 2)) @ axis) / mass, (ink.sum((1, 3)) @ axis) / mass], 1)


def test_with_every_option_at_zero_images_are_unchanged(ink: Tensor) -> None:
    assert torch.equal(bent(ink), ink)


def test_shift_moves_each_image_independently_within_the_limit(ink: Tensor) -> None:
    moved = centre(bent(ink, shift=2)) - centre(ink)
    assert moved.abs().max() <= 2.01
    assert moved.std(0).min() > 0.5


def test_rotation_is_about_the_centre(ink: Tensor) -> None:
    turned = bent(ink, rotation=20)
    torch.testing.assert_close(centre(turned), centre(ink), atol=0.1, rtol=0)
    assert (turned[:, :, 6, 12:16].sum() < ink[:, :, 6, 12:16].sum()).item()


@pytest.mark.parametrize("option", ["scale", "stroke"])
def test_scale_and_stroke_change_the_amount_of_ink_both_ways(ink: Tensor, option: str) -> None:
    amount = bent(ink, **{option: 0.5}).sum((1, 2, 3)) / ink.sum((1, 2, 3))
    assert amount.min() < 0.9
    assert amount.max() > 1.1


def test_only_the_requested_fraction_is_corrupted(ink: Tensor) -> None:
    changed = (bent(ink, spoiled=0.25, noise=0.2) != ink).flatten(1).any(1)
    assert changed.tolist() == [True] * 4 + [False] * 12


def test_contrast_makes_the_background_grey_and_the_ink_paler(ink: Tensor) -> None:
    grey = bent(ink, spoiled=1, contrast=0.6)
    assert grey[:, :, :5].mean() > 0.05  # the paper
    assert grey[:, :, 8:20, 13:15].mean() < 0.95  # the bar
    assert (grey[:, :, 8:20, 13:15].mean() > grey[:, :, :5].mean()).item()


def test_displacement_moves_only_spoiled_images_and_further_than_shift(ink: Tensor) -> None:
    moved = (centre(bent(ink, spoiled=0.5, shift=1, displacement=4)) - centre(ink)).abs().amax(1)
    assert 2 < moved[:8].max() <= 5.01
    assert moved[8:].max() <= 1.01


def test_an_outline_surrounds_the_ink_and_leaves_it_hollow(ink: Tensor) -> None:
    hollow = bent(ink, spoiled=1, outline=1)
    assert hollow[ink == 1].max() == 0
    assert (hollow.sum((1, 2, 3)) == 18 * 6 - 16 * 4).all()  # one pixel wide, all around the bar


def test_a_line_crosses_from_side_to_side_and_erases_no_ink(ink: Tensor) -> None:
    crossed = bent(ink, spoiled=1, line=1)
    assert (crossed >= ink).all()
    reached = (crossed[:, 0, :, :12] > 0.3).any(1)  # whether a column beside the bar has ink
    assert reached.float().mean() > 0.8


def test_blur_spreads_ink_and_keeps_its_amount(ink: Tensor) -> None:
    soft = bent(ink, spoiled=1, blur=2)
    torch.testing.assert_close(soft.sum((1, 2, 3)), ink.sum((1, 2, 3)), rtol=0.01, atol=0)
    assert (soft.amax((1, 2, 3)) <= 1.001).all()
    width = (soft > 0.05).sum((1, 2, 3)).float()
    assert width.max() > 1.5 * 64


def test_noise_changes_pixels_by_no_more_than_its_spread_allows(ink: Tensor) -> None:
    noisy = bent(ink, spoiled=1, noise=0.2) - ink
    assert 0.02 < noisy.abs().mean() < 0.2


def test_erasing_clears_one_rectangle_within_the_area_limit(ink: Tensor) -> None:
    lost = bent(ink, spoiled=1, erasing=0.2) != ink
    assert lost.flatten(1).float().mean(1).max() <= 0.25  # whole pixels may round it up
    assert lost.flatten(1).any(1).float().mean() > 0.5


def test_ink_stays_within_its_range(ink: Tensor) -> None:
    wild = bent(
        ink, rotation=15, scale=0.25, aspect=0.3, shear=0.4, shift=2, elastic=0.8, stroke=1,
        spoiled=1, displacement=4, line=1, blur=2, contrast=0.9, noise=1, erasing=0.5,
    )  # fmt: skip
    assert wild.min() >= 0
    assert wild.max() <= 1
    assert wild.shape == ink.shape


def test_the_same_seed_gives_the_same_images(ink: Tensor) -> None:
    options = {"rotation": 10.0, "elastic": 1.0, "stroke": 1.0, "spoiled": 0.5, "line": 0.5,
               "blur": 1.0, "displacement": 3.0}  # fmt: skip
    assert torch.equal(bent(ink, **options), bent(ink, **options))


# ---- photographs -----------------------------------------------------------------------------


@pytest.fixture
def photos() -> Tensor:
    """A hundred equal colour images, 24 wide and 16 high, whose levels grow to the right."""
    levels = torch.linspace(0.2, 0.8, 24) * torch.tensor([1.0, 0.8, 0.6]).reshape(3, 1, 1)
    return levels.expand(100, 3, 16, 24).clone()


def test_flip_mirrors_this_share_of_the_images(photos: Tensor) -> None:
    flipped = bent(photos, flip=0.3)
    mirrored = [torch.equal(image, photos[0].flip(2)) for image in flipped]
    unchanged = [torch.equal(image, photos[0]) for image in flipped]
    assert all(one != other for one, other in zip(mirrored, unchanged, strict=True))
    assert 15 < sum(mirrored) < 45
    assert torch.equal(bent(photos, flip=1), photos.flip(3))


def test_crop_shifts_images_by_whole_pixels_within_the_limit(photos: Tensor) -> None:
    step = photos[0, 0, 0, 1] - photos[0, 0, 0, 0]
    moved = (bent(photos, crop=0.125)[:, 0, 8, 12] - photos[:, 0, 8, 12]) / step
    assert set(moved.round().int().tolist()) == set(range(-3, 4))
    torch.testing.assert_close(moved, moved.round(), atol=1e-3, rtol=0)


def test_colour_changes_each_image_differently_and_stays_in_range(photos: Tensor) -> None:
    changed = bent(photos, colour=0.4)
    assert 0 <= changed.min() < changed.max() <= 1
    assert (changed.mean((1, 2, 3)) - photos.mean()).std() > 0.05
    assert bent(photos[:, :1], colour=0.4).shape == (100, 1, 16, 24)


def test_cutout_hides_a_square_of_this_side(photos: Tensor) -> None:
    hidden = (bent(photos, cutout=0.5) == 0.5).all(1)  # (n, 16, 24)
    assert hidden.any(2).sum(1).max() == 8
    assert hidden.any(1).sum(1).max() == 12
    assert len({tuple(rows) for rows in hidden.any(2).int().tolist()}) > 5


def test_warps_continue_photos_beyond_their_edges(photos: Tensor) -> None:
    assert bent(photos, shift=4, rotation=20).min() > 0.1


def test_a_transform_receives_each_image(photos: Tensor) -> None:
    assert torch.equal(transformed(photos, lambda image: image.flip(2)), photos.flip(3))


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (lambda image: image.numpy().nothing, "AttributeError: .* leave out ToTensor"),
        (lambda image: image[:, 1:], r"makes \(3, 15, 24\) of an image of \(3, 16, 24\)"),
        (lambda image: (image - 0.5) / 0.1, "leave out Normalize"),
    ],
    ids=["fails", "another shape", "normalised"],
)
def test_a_transform_that_does_not_fit_is_refused(
    photos: Tensor, transform: Callable[[Tensor], Tensor], message: str
) -> None:
    with pytest.raises(BadRecipe, match=message):
        transformed(photos, transform)
