"""All options of a training, with their bounds.

A recipe is saved in the checkpoint and on the model card, so any run can be repeated. Command-line
flags are generated from its fields: `learning_rate` becomes `--learning-rate`. A default that
depends on another option (such as the learning rate, which depends on the network) is replaced by
its value when the recipe is created, so that the values that were used are stored.
"""

from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Iterable, Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from tomllib import TOMLDecodeError, loads
from typing import Any

import torch

from training.hands import UnknownHand, hands_in
from training.model import NETWORKS, Kind, kind_of
from training.networks.own import BadNetwork

OPTIMISERS = ("adam", "adamw", "sgd", "muon")
SCHEDULES = ("one-cycle", "cosine", "step", "plateau", "none")
DEVICES = ("auto", "cpu", "cuda", "mps")
SEEDS = 2**62


class BadRecipe(ValueError):
    """An invalid value or combination; the message names the flags and what they allow."""


def number(default: float | None, meaning: str, low: float, high: float, kind: type = float) -> Any:
    """A number with bounds. With None as default, the meaning says what it depends on."""
    kind = kind if default is None else type(default)
    return field(default=default, metadata={"meaning": meaning, "bounds": (low, high, kind)})


def choice(
    default: str | None, meaning: str, of: tuple[str, ...] = (), *, metavar: str = "FILE"
) -> Any:
    """One of some texts, or without them any text, which the help calls `metavar`."""
    choices = {"choices": of} if of else {"metavar": metavar}
    return field(default=default, metadata={"meaning": meaning, **choices})


def switch(meaning: str) -> Any:
    """Yes or no. The meaning says what the default depends on."""
    return field(default=None, metadata={"meaning": meaning, "switch": True})


@dataclass(frozen=True)
class Recipe:
    """The defaults are for MNIST on a CPU. `presets` has others, a data set may bring its own."""

    # The network
    network: str = choice(
        "compact",
        f"network to train: {', '.join(NETWORKS)}; or your own, as my_module:build",
        metavar="NAME",
    )
    width: float = number(1.0, "factor for the channels, for compact, deep and residual", 0.25, 8)
    hidden_size: int = number(
        None, "width of the hidden fully connected layer, default: the network's", 0, 8192, int
    )
    mirror: bool = switch(
        "average the answers for an image and its mirror image, at twice the cost; default: no"
    )
    dropout1: float = number(None, "after convolutions, default: the network's", 0, 0.9)
    dropout2: float = number(None, "before the last layer, default: the network's", 0, 0.9)
    pretrained: str = choice("", "file with initial weights of the same kind of network")
    # Learning
    epochs: int = number(25, "passes over the training images", 1, 10_000)
    batch_size: int = number(128, "images per step, on all devices together", 2, 65_536)
    optimiser: str = choice(None, "optimiser, default: the network's", of=OPTIMISERS)
    learning_rate: float = number(None, "peak value, default: the network's", 1e-6, 10)
    momentum: float = number(0.9, "Nesterov momentum, for sgd and muon", 0, 0.999)
    weight_decay: float = number(0.0, "weight decay", 0, 1)
    label_smoothing: float = number(0.05, "share of each label spread over all classes", 0, 0.5)
    schedule: str = choice("one-cycle", "learning rate schedule", of=SCHEDULES)
    decay_every: int = number(5, "epochs between two decays, for step", 1, 10_000)
    decay_factor: float = number(0.5, "factor of a decay, for step and plateau", 0.01, 0.99)
    decay_patience: int = number(2, "epochs without progress until a decay, for plateau", 0, 10_000)
    ema: float = number(0.0, "decay per step of the moving average of weights, 0: off", 0, 0.99999)
    # Distillation from larger networks, which are trained first
    teachers: int = number(0, "number of teacher networks to distil", 0, 32)
    teacher_network: str = choice("deep", "network of the teachers", metavar="NAME")
    teacher_width: float = number(2.0, "--width of the teachers, where they have one", 0.25, 8)
    teacher_epochs: int = number(20, "--epochs of the teachers", 1, 10_000)
    distillation: float = number(0.9, "weight of the teachers' outputs against the labels", 0, 1)
    softness: float = number(1.0, "temperature of outputs in distillation", 0.1, 20)
    # Digits that are drawn in the manners of several countries: `hands`
    hands: float = number(
        None, "share of training images drawn in other hands, default: 0.05 for MNIST", 0, 0.9
    )
    without_hands: str = choice(
        "", "hands that are not drawn, as '7 barred, 1 steep'", metavar="NAMES"
    )
    # Augmentation of the training images, each kind off with 0
    rotation: float = number(10.0, "largest rotation in degrees, either way", 0, 45)
    scale: float = number(0.1, "largest change of size, as a fraction", 0, 0.5)
    aspect: float = number(0.0, "largest change of width relative to height, a fraction", 0, 0.5)
    shear: float = number(0.1, "largest horizontal shear, pixels per pixel of height", 0, 0.5)
    shift: float = number(1.5, "largest translation in pixels, in both directions", 0, 6)
    elastic: float = number(0.0, "standard deviation in pixels of a smooth random warp", 0, 4)
    stroke: float = number(0.0, "largest change of stroke width, 1: about a pixel", 0, 1)
    spoiled: float = number(0.06, "fraction of images that the next seven options apply to", 0, 1)
    displacement: float = number(2.5, "largest further translation in pixels", 0, 8)
    outline: float = number(0.2, "share of them that are drawn as outlines", 0, 1)
    line: float = number(0.3, "share of them that a wavy line crosses", 0, 1)
    blur: float = number(2.0, "largest standard deviation of blur in pixels", 0, 4)
    contrast: float = number(0.65, "largest loss of contrast of paper and of ink", 0, 0.9)
    noise: float = number(0.2, "largest standard deviation of pixel noise, ink is 1", 0, 1)
    erasing: float = number(0.3, "largest part of the image hidden by a rectangle", 0, 0.5)
    # Images that are no digit, for which equal probabilities are learned: `non_digits`
    non_digits: float = number(
        0.0, "images that are no digit in a batch, as a fraction of its size", 0, 1
    )
    # Augmentation of photographs, or of any images that are not gray 28x28
    flip: float = number(0.0, "share of images that are mirrored, left to right", 0, 1)
    crop: float = number(0.0, "largest shift of the image, as a fraction of its side", 0, 0.5)
    colour: float = number(0.0, "largest change of brightness, contrast and saturation", 0, 1)
    cutout: float = number(0.0, "side of a square that is hidden, as a fraction", 0, 0.75)
    plain_epochs: int = number(
        None, "last epochs without augmentation, default: 2 of at least 3", 0, 10_000, int
    )
    # Validation
    validation: float = number(0.05, "fraction of training images held out, 0: none", 0, 0.5)
    validation_seed: int = number(0, "selects the images that are held out", 0, SEEDS)
    keep: str = choice(
        None,
        "epoch whose weights are kept; default: last if the learning rate ends at 0, else best",
        of=("best", "last"),
    )
    patience: int = number(0, "epochs without progress until the training ends, 0: off", 0, 10_000)
    also_weight: int = number(1, "times that each image of --also is shown in an epoch", 1, 1000)
    min_delta: float = number(0.0, "smallest decrease of the validation loss as progress", 0, 1)
    # The machine
    device: str = choice("auto", "device to train on; auto uses a GPU if there is one", of=DEVICES)
    mixed_precision: bool = switch(
        "half precision where it is safe; default: for residual on a device that is fast at it"
    )
    threads: int = number(0, "CPU threads, 0: as many as speed up this network", 0, 256)
    seed: int = number(0, "seed of weights, order and augmentation", 0, SEEDS)

    def __post_init__(self) -> None:
        for option in fields(self):
            self._set(option.name, _checked(option, getattr(self, option.name)))
        kind = _kind_of("network", self.network)
        if self.optimiser is None:
            self._set("optimiser", kind.optimiser)
        _kind_of("teacher_network", self.teacher_network)
        settles = self.schedule in ("one-cycle", "cosine") and not self.patience
        defaults = {
            **kind.suggested(self.optimiser),
            "mirror": False,
            "hands": 0.0,
            "mixed_precision": kind.half and halves(self.device),
            "plain_epochs": min(2, self.epochs - 1),
            "keep": "last" if settles else "best",
        }
        for name, value in defaults.items():
            if getattr(self, name) is None:
                self._set(name, value)
        _check_combinations(self)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def of_teacher(self, number: int) -> "Recipe":
        """The recipe of a teacher network. It has the same values except for those listed here."""
        own = {
            "network": self.teacher_network,
            "width": self.teacher_width if kind_of(self.teacher_network).widens else 1.0,
            "epochs": self.teacher_epochs,
            "plain_epochs": None,
            "dropout1": None,
            "dropout2": None,
            "learning_rate": None,
            "hidden_size": None,
            "label_smoothing": 0.0,  # its outputs should express only the teacher's uncertainty
            "pretrained": "",
            "teachers": 0,
            "keep": None,
            "seed": (self.seed + number * 1_000_003) % SEEDS,
        }
        return Recipe.made_of(self.as_dict(), own)

    @classmethod
    def made_of(cls, *layers: Mapping[str, Any]) -> "Recipe":
        """The default values, overridden by each layer in turn."""
        chosen = {name: value for layer in layers for name, value in layer.items()}
        _check_names(chosen)
        return cls(**chosen)

    @classmethod
    def read(cls, path: Path) -> dict[str, Any]:
        """The options in a TOML file, whose keys are names of fields; BadRecipe names a mistake.

        Combinations are not checked: other options may be added.
        """
        try:
            given = loads(path.read_text("utf-8-sig"))
        except (TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadRecipe(f"{path} is not a TOML file: {error}") from error
        except OSError as error:
            raise BadRecipe(f"{path} cannot be read: {error.strerror}") from error
        for name, value in given.items():
            try:
                cls.check_option(name, value)
            except BadRecipe as error:
                raise BadRecipe(f"{path}: {error}") from error
        return given

    @classmethod
    def check_option(cls, name: str, value: Any) -> None:
        """BadRecipe if there is no such option, or if it cannot have this value."""
        _checked(cls.option(name), value)
        if name in ("network", "teacher_network"):
            _kind_of(name, str(value))

    @classmethod
    def option(cls, name: str) -> Field[Any]:
        """The field of an option; BadRecipe, with the nearest name, if there is none."""
        _check_names([name])
        return next(option for option in fields(cls) if option.name == name)

    @classmethod
    def add_flags(cls, parser: ArgumentParser) -> None:
        """One flag for each field. Flags that are not given are None in the namespace."""
        group = parser.add_argument_group("recipe (defaults are those for MNIST)")
        for each in fields(cls):
            group.add_argument(flag(each.name), dest=each.name, default=None, **_argument(each))

    @classmethod
    def given_in(cls, words: Namespace) -> dict[str, Any]:
        """The options that were given on the command line."""
        return {k.name: v for k in fields(cls) if (v := getattr(words, k.name)) is not None}

    def check_use(self, given: Iterable[str]) -> None:
        """BadRecipe if one of the `given` options would have no effect in this recipe."""
        for name in given:
            if unmet := self.unmet(name):
                other_name, values = unmet
                needed = " ".join((flag(other_name), " or ".join(values))).rstrip()
                value = getattr(self, other_name)
                raise BadRecipe(f"{flag(name)} has an effect only with {needed}; it is {value}")

    def unmet(self, name: str) -> tuple[str, tuple[str, ...]] | None:
        """The option without which `name` has no effect here, and the values it would need.

        No values stand for any but 0. None: the option has an effect.
        """
        for other_name, values in USED_WITH.get(name, {}).items():
            value = getattr(self, other_name)
            if (value not in values) if values else not value:
                return other_name, values
        return None


def _check_names(given: Iterable[str]) -> None:
    """BadRecipe, with the nearest name, if one of these is no option."""
    known = [option.name for option in fields(Recipe)]
    for name in sorted(set(given) - {*known}):
        near = get_close_matches(name.replace("-", "_"), known, 1)
        hint = f"did you mean {near[0]}?" if near else "python -m training --help lists all options"
        raise BadRecipe(f"unknown option {name!r}; {hint}")


# Options that depend on another one, with its values; an empty tuple stands for any but 0.
USED_WITH: dict[str, dict[str, tuple[str, ...]]] = {
    "momentum": {"optimiser": ("sgd", "muon")},
    "decay_every": {"schedule": ("step",)},
    "decay_factor": {"schedule": ("step", "plateau")},
    "decay_patience": {"schedule": ("plateau",)},
    "displacement": {"spoiled": ()},
    "outline": {"spoiled": ()},
    "line": {"spoiled": ()},
    "blur": {"spoiled": ()},
    "contrast": {"spoiled": ()},
    "noise": {"spoiled": ()},
    "erasing": {"spoiled": ()},
    "teacher_network": {"teachers": ()},
    "teacher_width": {"teachers": ()},
    "teacher_epochs": {"teachers": ()},
    "distillation": {"teachers": ()},
    "softness": {"teachers": ()},
}


def halves(device: str) -> bool:
    """Whether `device`, one of DEVICES, computes in half precision, and fast."""
    if device in ("auto", "cuda") and torch.cuda.is_available():
        return True
    return device in ("auto", "cpu") and bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def _kind_of(option: str, network: str) -> Kind:
    try:
        return kind_of(network)
    except BadNetwork as error:
        raise BadRecipe(f"{flag(option)}: {error}") from error


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _checked(option: Field[Any], value: Any) -> Any:
    """A valid value in Python's own type: notebooks pass NumPy's types, files need Python's."""
    name, default = flag(option.name), option.default
    if value is None is default:
        return None  # it depends on other options
    if choices := option.metadata.get("choices"):
        if value not in choices:
            raise BadRecipe(f"{name} is {value!r}, it must be one of: {', '.join(choices)}")
    elif bounds := option.metadata.get("bounds"):
        return _number(name, value, *bounds)
    elif option.metadata.get("switch"):
        if not isinstance(value, bool):
            raise BadRecipe(f"{name} is {value!r}, it must be True or False")
        return value
    return str(value)


def _number(name: str, value: Any, low: float, high: float, kind: type) -> float:
    try:
        number: float = kind(value)
        right = not isinstance(value, str) and number == value and low <= value <= high
    except (TypeError, ValueError, OverflowError):  # not a number, or NaN or infinity as integer
        right = False
    if not right:
        whole = "a whole number from " if kind is int else ""
        raise BadRecipe(f"{name} is {value!r}, it must be {whole}{low} to {high}")
    return number


def _check_combinations(recipe: Recipe) -> None:
    """Reports options that contradict each other, before anything is loaded."""
    if recipe.plain_epochs > recipe.epochs:
        raise BadRecipe(
            f"--plain-epochs is {recipe.plain_epochs}, more than --epochs {recipe.epochs}"
        )
    if recipe.validation == 0:
        for name, given in (
            (f"--patience {recipe.patience}", recipe.patience > 0),
            ("--schedule plateau", recipe.schedule == "plateau"),
        ):
            if given:
                raise BadRecipe(f"{name} needs a validation part, but --validation is 0")
    if recipe.min_delta and not recipe.patience:
        raise BadRecipe("--min-delta has an effect only with --patience, which is 0")
    kind = kind_of(recipe.network)
    if recipe.width != 1 and not kind.widens:
        raise BadRecipe(f"--width is {recipe.width}, but {recipe.network} has a fixed width")
    if recipe.hidden_size and not kind.hidden_size:
        having = ", ".join(name for name, each in NETWORKS.items() if each.hidden_size)
        raise BadRecipe(
            f"--hidden-size is {recipe.hidden_size}, but {recipe.network} has no hidden fully "
            f"connected layer; these have one: {having}"
        )
    try:
        hands_in(recipe.without_hands)
    except UnknownHand as error:
        raise BadRecipe(f"--without-hands: {error}") from error
    if recipe.mixed_precision and recipe.device == "mps":
        raise BadRecipe("--mixed-precision is for CUDA and for CPUs, --device is mps")


def _argument(option: Field[Any]) -> dict[str, Any]:
    """The keyword arguments of add_argument for a field."""
    meaning = option.metadata["meaning"].replace("%", "%%")
    if choices := option.metadata.get("choices"):
        default = f" (default {option.default})" if option.default else ""
        return {"choices": choices, "help": f"{meaning}{default}"}
    if option.metadata.get("switch"):
        return {"action": BooleanOptionalAction, "help": meaning}
    if isinstance(option.default, str):
        default = f" (default {option.default})" if option.default else ""
        return {"metavar": option.metadata["metavar"], "help": f"{meaning}{default}"}
    low, high, kind = option.metadata["bounds"]
    default = "" if option.default is None else f", default {option.default}"
    return {"type": kind, "metavar": "N", "help": f"{meaning} ({low} to {high}{default})"}
