"""What a training trains on: the parts of its data set, on which a recipe decides.

data --split--> train, with the images of --also | validation | test
"""

import hashlib
import logging
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contract.card import DataFacts
from training.also import Also
from training.augment import Transform, transformed
from training.data import DataSet
from training.evaluate import as_input
from training.hands import drawn_digits, hands_in
from training.image import TEN_DIGITS
from training.listing import counted
from training.loop import Part
from training.model import GRAY_28, in_words
from training.non_digits import draw_non_digits, pool_size
from training.place import Place
from training.recipe import BadRecipe, Recipe, flag

log = logging.getLogger("training")


@dataclass(frozen=True)
class Task:
    """What all networks of a training share, including the teachers."""

    data: DataSet
    train: Part  # with drawn ones, and those of `also`, each as often as its weight says
    validation: Part | None
    test: Part
    place: Place
    transform: Transform | None = None  # a user's own augmentation
    also: Also | None = None
    images: int = 0  # different ones in `train`
    non_digits: Tensor | None = None  # (n, 28, 28) uint8, shown beside those of `train`

    @property
    def facts(self) -> DataFacts:
        return DataFacts(
            name=self.data.name,
            source=self.data.source,
            train=self.images,
            validation=len(self.validation) if self.validation else 0,
            test=len(self.test),
            also=len(self.also.train[1]) if self.also else 0,
            held_out=len(self.also.held_out[1]) if self.also else 0,
        )


def task_of(
    data: DataSet,
    recipe: Recipe,
    place: Place,
    transform: Transform | None,
    also: Also | None = None,
) -> Task:
    """BadRecipe if the recipe does not suit the images, or if they are too few for it."""
    for option in ("stroke", "spoiled"):
        if getattr(recipe, option) and data.shape != GRAY_28:
            raise BadRecipe(
                f"{flag(option)} is for gray images of 28x28, these are {in_words(data.shape)}: "
                f"use {flag(option)} 0"
            )
    if transform:
        torch.manual_seed(recipe.seed)
        transformed(as_input(torch.tensor(data.train[0][:1])), transform)  # reports its mistakes
    train, test = (Part(_shared(pixels), torch.tensor(labels).long())
                   for pixels, labels in (data.train, data.test))  # fmt: skip
    train, validation = _set_apart(train, data, recipe) if data.validation else split(train, recipe)
    if recipe.hands:
        train = _with_hands(train, data, recipe)
    elif recipe.without_hands:
        raise BadRecipe("--without-hands has an effect only with --hands, which is 0")
    images = len(train) + (len(also.train[1]) if also else 0)
    if also:
        train = _with(train, also, recipe.also_weight)
    non_digits = _non_digits(train, data, recipe) if recipe.non_digits else None
    return Task(data, train, validation, test, place, transform, also, images, non_digits)


def _non_digits(train: Part, data: DataSet, recipe: Recipe) -> Tensor:
    """Images that are no digit, made of letters and shapes, and of some training images."""
    if tuple(data.labels) != TEN_DIGITS or not data.is_prepared_as_digits:
        raise BadRecipe(
            "--non-digits is for gray images of 28x28, prepared as digits, with the classes 0 to "
            "9; these are others: use --non-digits 0"
        )
    shown = round(len(train) * recipe.epochs * recipe.non_digits)
    drawn = draw_non_digits(pool_size(shown), "training", train.arrays(), recipe.seed)
    return torch.from_numpy(drawn.pixels)


def _with_hands(part: Part, data: DataSet, recipe: Recipe) -> Part:
    """The part, followed by digits in other hands, of which the recipe gives the share."""
    if data.shape != GRAY_28 or tuple(data.labels) != TEN_DIGITS:
        raise BadRecipe("--hands draws gray digits of 28x28 for the classes 0 to 9: use --hands 0")
    count = round(len(part) * recipe.hands / (1 - recipe.hands))
    pixels, labels = drawn_digits(count, recipe.seed, hands_in(recipe.without_hands))
    return _followed_by(part, Part(torch.from_numpy(pixels), torch.from_numpy(labels).long()))


def _with(part: Part, also: Also, weight: int) -> Part:
    """The part, followed by `weight` copies of each image of `also`."""
    pixels, labels = torch.tensor(also.train[0]), torch.tensor(also.train[1]).long()
    more = Part(pixels.repeat_interleave(weight, 0), labels.repeat_interleave(weight))
    return _followed_by(part, more)


def _followed_by(part: Part, more: Part) -> Part:
    return Part(torch.cat([part.pixels, more.pixels]), torch.cat([part.labels, more.labels]))


def _shared(pixels: NDArray[np.uint8]) -> Tensor:
    """The pixels without a copy, except of an array that cannot be written to."""
    return torch.from_numpy(pixels) if pixels.flags.writeable else torch.tensor(pixels)


def _set_apart(part: Part, data: DataSet, recipe: Recipe) -> tuple[Part, Part | None]:
    """The training part, and the validation images of the user, unless the recipe wants none."""
    count = len(part) - data.validation
    if recipe.batch_size > count:
        raise BadRecipe(
            f"--batch-size is {recipe.batch_size}, more than the {count} training images"
        )
    if not recipe.validation:
        log.warning(
            "%s: %s set apart for validation are not used: --validation is 0",
            data.source, counted(data.validation, "image"),
        )  # fmt: skip
    train, validation = (
        Part(part.pixels[chosen], part.labels[chosen])
        for chosen in (slice(count), slice(count, None))
    )
    return train, validation if recipe.validation else None


def split(part: Part, recipe: Recipe) -> tuple[Part, Part | None]:
    """The training part, which keeps an image of each class, and the validation part.

    BadRecipe if no class has another image for validation.
    """
    size = validation_size(len(part), recipe)
    random = torch.Generator().manual_seed(recipe.validation_seed)
    order = torch.randperm(len(part), generator=random)
    may_go = torch.ones(len(part), dtype=torch.bool)
    may_go[_last_of_each_class(part.labels[order])] = False
    if size and not may_go.any():
        raise BadRecipe(
            "each class has one training image, and none can be held out: use --validation 0"
        )
    is_taken = torch.zeros_like(may_go)
    is_taken[may_go.nonzero().flatten()[:size]] = True
    taken, kept = order[is_taken], order[~is_taken]
    train = Part(part.pixels[kept], part.labels[kept])
    return train, Part(part.pixels[taken], part.labels[taken]) if size else None


def _last_of_each_class(labels: Tensor) -> Tensor:
    """The place of the last image of each class that occurs."""
    places = torch.full((int(labels.max()) + 1,), -1)
    places.scatter_reduce_(0, labels.long(), torch.arange(len(labels)), "amax")
    return places[places >= 0]


def validation_size(images: int, recipe: Recipe) -> int:
    """The number of validation images; BadRecipe if the remaining ones do not fill one batch."""
    size = max(1, round(images * recipe.validation)) if recipe.validation else 0
    held_out = f"{size} of {images} {'is' if size == 1 else 'are'} held out for validation"
    if images - size < 2:
        raise BadRecipe(
            f"there are too few images to train on ({held_out}): add some, or use --validation 0"
        )
    if recipe.batch_size > images - size:
        raise BadRecipe(
            f"--batch-size is {recipe.batch_size}, more than the {images - size} training images "
            f"({held_out})"
        )
    return size


def fingerprint(data: DataSet) -> str:
    """MD5 of all images and labels, in order."""
    digest = hashlib.md5(usedforsecurity=False)
    for array in (*data.train, *data.test):
        digest.update(array.tobytes())
    return digest.hexdigest()
