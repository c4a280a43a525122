"""The data of a training as tensors, and the device that it runs on."""

import hashlib
from dataclasses import dataclass

import torch

from contract.card import DataFacts
from training.data import DataSet
from training.loop import Part
from training.place import Place
from training.recipe import BadRecipe, Recipe


@dataclass(frozen=True)
class Task:
    """What all networks of one training have in common, teachers included."""

    data: DataSet
    train: Part
    validation: Part | None
    test: Part
    place: Place

    @property
    def facts(self) -> DataFacts:
        return DataFacts(
            name=self.data.name,
            source=self.data.source,
            train=len(self.train),
            validation=len(self.validation) if self.validation else 0,
            test=len(self.test),
        )


def task_of(data: DataSet, recipe: Recipe, place: Place) -> Task:
    """BadRecipe if the recipe asks for more pictures than the data has."""
    train, validation = split(_part(*data.train), recipe)
    return Task(data, train, validation, _part(*data.test), place)


def split(part: Part, recipe: Recipe) -> tuple[Part, Part | None]:
    """The training part and the validation part."""
    size = validation_size(len(part), recipe)
    random = torch.Generator().manual_seed(recipe.validation_seed)
    order = torch.randperm(len(part), generator=random)
    taken, kept = order[:size], order[size:]
    train = Part(part.pixels[kept], part.labels[kept])
    return train, Part(part.pixels[taken], part.labels[taken]) if size else None


def validation_size(pictures: int, recipe: Recipe) -> int:
    """How many of `pictures` are held out; BadRecipe if the others do not fill one batch."""
    size = max(1, round(pictures * recipe.validation)) if recipe.validation else 0
    if recipe.batch_size > pictures - size:
        raise BadRecipe(
            f"--batch-size is {recipe.batch_size}, more than the {pictures - size} pictures "
            f"there are to learn from ({size} of {pictures} are held out)"
        )
    return size


def fingerprint(data: DataSet) -> str:
    """MD5 of all pictures and labels, in order."""
    digest = hashlib.md5(usedforsecurity=False)
    for array in (*data.train, *data.test):
        digest.update(array.tobytes())
    return digest.hexdigest()


def _part(pixels: object, labels: object) -> Part:
    return Part(torch.tensor(pixels), torch.tensor(labels).long())
