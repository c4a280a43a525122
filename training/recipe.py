"""Everything a person may choose about a training, with the bounds of each choice.

A recipe is saved in the checkpoint and printed on the model card, so any run can be repeated.
Command-line flags are made from its fields: `learning_rate` becomes `--learning-rate`.
"""

from argparse import ArgumentParser, Namespace
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self


class BadRecipe(ValueError):
    """A value outside its bounds; the message names the flag, the value and the bounds."""


def knob(default: float, meaning: str, low: float, high: float) -> Any:
    return field(default=default, metadata={"meaning": meaning, "low": low, "high": high})


@dataclass(frozen=True)
class Recipe:
    """The default reaches 99.6 % on MNIST in about two minutes of CPU time."""

    epochs: int = knob(12, "passes over the training pictures", 1, 10_000)
    batch_size: int = knob(128, "pictures a step", 2, 65_536)
    learning_rate: float = knob(0.01, "peak, reached after 30 % of the steps", 1e-6, 1.0)
    label_smoothing: float = knob(0.05, "of each label spread over all classes", 0, 0.5)
    dropout: float = knob(0.1, "fraction dropped before the last layer", 0, 0.9)
    rotation: float = knob(10.0, "degrees, at most, either way", 0, 45)
    scale: float = knob(0.1, "a picture grows or shrinks by this fraction at most", 0, 0.5)
    aspect: float = knob(0.0, "width changes by this fraction more than height at most", 0, 0.5)
    shear: float = knob(0.1, "sideways, pixels a pixel of height at most", 0, 0.5)
    shift: float = knob(1.5, "pixels at most, in both directions", 0, 6)
    elastic: float = knob(0.0, "pixels, standard deviation of a smooth random warp", 0, 4)
    stroke: float = knob(0.0, "how far stroke width may change, 1 = about a pixel", 0, 1)
    plain_epochs: int = knob(1, "last epochs, on the pictures as they are", 0, 10_000)
    validation: float = knob(0.05, "fraction of the training pictures held out", 0.001, 0.5)
    seed: int = knob(0, "of weights, order, augmentation and the validation split", 0, 2**31 - 1)
    threads: int = knob(0, "CPU threads, 0 = all there are", 0, 256)

    def __post_init__(self) -> None:
        for knob_ in fields(self):
            value, low, high = getattr(self, knob_.name), *_bounds(knob_.metadata)
            if not low <= value <= high:  # NaN is in no range
                raise BadRecipe(f"{flag(knob_.name)} is {value}, it must be {low} to {high}")
        if self.plain_epochs > self.epochs:
            raise BadRecipe(
                f"--plain-epochs is {self.plain_epochs}, more than --epochs {self.epochs}"
            )

    def as_dict(self) -> dict[str, float]:
        return asdict(self)

    @classmethod
    def add_flags(cls, parser: ArgumentParser) -> None:
        """One flag a field. None stands for "not given", so that a data set may bring defaults."""
        group = parser.add_argument_group("recipe (defaults are those for MNIST)")
        for knob_ in fields(cls):
            low, high = _bounds(knob_.metadata)
            meaning = f"{knob_.metadata['meaning']} ({low} to {high}, default {knob_.default})"
            kind = type(knob_.default)
            group.add_argument(
                flag(knob_.name), type=kind, metavar="N", help=meaning.replace("%", "%%")
            )

    def with_flags(self, words: Namespace) -> Self:
        """This recipe, with what the user gave on the command line instead."""
        given = {k.name: v for k in fields(self) if (v := getattr(words, k.name)) is not None}
        return replace(self, **given)


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _bounds(metadata: Any) -> tuple[float, float]:
    return metadata["low"], metadata["high"]
