"""What a training is about: pictures as tensors, where it runs, what both allow."""

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
    learn: Part
    held_out: Part | None
    test: Part
    place: Place

    @property
    def facts(self) -> DataFacts:
        return DataFacts(
            name=self.data.name,
            source=self.data.source,
            train=len(self.learn),
            validation=len(self.held_out) if self.held_out else 0,
            test=len(self.test),
        )


def task_of(data: DataSet, recipe: Recipe, place: Place) -> Task:
    """BadRecipe if the recipe asks for more pictures than the data has."""
    learn, held_out = split(_part(*data.train), recipe)
    return Task(data, learn, held_out, _part(*data.test), place)


def split(part: Part, recipe: Recipe) -> tuple[Part, Part | None]:
    """What the weights learn from, and what is held out to judge them by."""
    held_out = held_out_of(len(part), recipe)
    random = torch.Generator().manual_seed(recipe.validation_seed)
    order = torch.randperm(len(part), generator=random)
    taken, kept = order[:held_out], order[held_out:]
    learn = Part(part.pixels[kept], part.labels[kept])
    return learn, Part(part.pixels[taken], part.labels[taken]) if held_out else None


def held_out_of(pictures: int, recipe: Recipe) -> int:
    """How many of `pictures` are held out; BadRecipe if the rest does not fill one batch."""
    held_out = max(1, round(pictures * recipe.validation)) if recipe.validation else 0
    if recipe.batch_size > pictures - held_out:
        raise BadRecipe(
            f"--batch-size is {recipe.batch_size}, more than the {pictures - held_out} pictures "
            f"there are to learn from ({held_out} of {pictures} are held out)"
        )
    return held_out


def fingerprint(data: DataSet) -> str:
    """MD5 of all pictures and labels, in order."""
    digest = hashlib.md5(usedforsecurity=False)
    for array in (*data.train, *data.test):
        digest.update(array.tobytes())
    return digest.hexdigest()


def _part(pixels: object, labels: object) -> Part:
    return Part(torch.tensor(pixels), torch.tensor(labels).long())
