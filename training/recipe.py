"""All options of a training, with their bounds.

A recipe is saved in the checkpoint and printed on the model card, so any run can be repeated.
Command-line flags are made from its fields: `learning_rate` becomes `--learning-rate`. A choice
that depends on another one (a learning rate on the network, say) is None until the recipe is made,
and a number afterwards: what is stored is what was used.
"""

from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from training.model import NETWORKS

OPTIMISERS = ("adam", "adamw", "sgd")
SCHEDULES = ("one-cycle", "cosine", "step", "plateau", "none")
DEVICES = ("auto", "cpu", "cuda", "mps")
SEEDS = 2**62


class BadRecipe(ValueError):
    """A value or a combination that cannot be; the message names the flags and what they allow."""


def knob(default: float | None, meaning: str, low: float, high: float, kind: type = float) -> Any:
    """A number with bounds. None as default: the meaning says what it then depends on."""
    kind = kind if default is None else type(default)
    return field(default=default, metadata={"meaning": meaning, "bounds": (low, high, kind)})


def choice(default: str | None, meaning: str, of: tuple[str, ...]) -> Any:
    return field(default=default, metadata={"meaning": meaning, "choices": of})


def other(default: str | bool, meaning: str) -> Any:
    """A text or a yes-or-no."""
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True)
class Recipe:
    """The default is for MNIST on a CPU; `presets` holds others, a data set may bring its own."""

    # The network
    network: str = choice("compact", "what is trained", of=tuple(NETWORKS))
    width: float = knob(1.0, "times the usual channels, of compact and deep only", 0.25, 8)
    dropout1: float = knob(None, "dropped after convolutions, default: the network's", 0, 0.9)
    dropout2: float = knob(None, "dropped before the last layer, default: the network's", 0, 0.9)
    pretrained: str = other("", "file with weights of the same kind of network to begin from")
    # Learning
    epochs: int = knob(24, "passes over the training pictures", 1, 10_000)
    batch_size: int = knob(128, "pictures a step, on all devices together", 2, 65_536)
    optimiser: str = choice("adam", "how weights follow gradients", of=OPTIMISERS)
    learning_rate: float = knob(None, "peak, default: the network's", 1e-6, 10)
    momentum: float = knob(0.9, "of sgd, Nesterov's", 0, 0.999)
    weight_decay: float = knob(0.0, "pull of weights towards 0", 0, 1)
    label_smoothing: float = knob(0.05, "of each label spread over all classes", 0, 0.5)
    schedule: str = choice("one-cycle", "how the learning rate moves", of=SCHEDULES)
    decay_every: int = knob(5, "epochs between two drops, of step", 1, 10_000)
    decay_factor: float = knob(0.5, "what a drop multiplies by, of step and plateau", 0.01, 0.99)
    decay_patience: int = knob(2, "epochs without progress before a drop, of plateau", 0, 10_000)
    ema: float = knob(0.0, "decay a step of the averaged weights that are kept, 0: off", 0, 0.99999)
    # Learning from bigger networks, which are trained first
    teachers: int = knob(0, "networks whose averaged answers are learned too", 0, 32)
    teacher_network: str = choice("deep", "what the teachers are", of=tuple(NETWORKS))
    teacher_width: float = knob(2.0, "their --width, where they have one", 0.25, 8)
    teacher_epochs: int = knob(20, "their --epochs", 1, 10_000)
    distillation: float = knob(0.9, "weight of the teachers' answers beside the labels", 0, 1)
    softness: float = knob(1.0, "temperature of answers when they are taught", 0.1, 20)
    # Variations of the pictures, each off with 0
    rotation: float = knob(10.0, "degrees at most, either way", 0, 45)
    scale: float = knob(0.1, "a picture grows or shrinks by this fraction at most", 0, 0.5)
    aspect: float = knob(0.0, "width changes by this fraction more than height at most", 0, 0.5)
    shear: float = knob(0.1, "sideways, pixels a pixel of height at most", 0, 0.5)
    shift: float = knob(1.5, "pixels at most, in both directions", 0, 6)
    elastic: float = knob(0.0, "pixels, standard deviation of a smooth random warp", 0, 4)
    stroke: float = knob(0.0, "how far stroke width may change, 1: about a pixel", 0, 1)
    spoiled: float = knob(0.05, "fraction of pictures that the next three apply to", 0, 1)
    contrast: float = knob(0.65, "of all grey that paper and ink may lose to each other", 0, 0.9)
    noise: float = knob(0.2, "largest standard deviation of noise on each pixel, ink is 1", 0, 1)
    erasing: float = knob(0.3, "largest part of the sheet lost under a rectangle", 0, 0.5)
    plain_epochs: int = knob(
        None, "last epochs, on pictures as they are, default: 2 if there are 3", 0, 10_000, int
    )
    # Judging
    validation: float = knob(0.05, "fraction of the training pictures held out, 0: none", 0, 0.5)
    validation_seed: int = knob(0, "which pictures are held out", 0, SEEDS)
    keep: str = choice(
        None,
        "whose weights; default: the last epoch's where the rate ends at 0",
        of=("best", "last"),
    )
    patience: int = knob(0, "epochs without progress after which to stop, 0: never", 0, 10_000)
    min_delta: float = knob(0.0, "progress is a validation loss lower by more than this", 0, 1)
    # The machine
    device: str = choice("auto", "where to train; auto takes a GPU where there is one", of=DEVICES)
    mixed_precision: bool = other(False, "half precision where it is safe, on CUDA only")
    threads: int = knob(0, "CPU threads, 0: as many as pay for this network", 0, 256)
    seed: int = knob(0, "of weights, order and variations", 0, SEEDS)

    def __post_init__(self) -> None:
        _check_choices(self)
        suggested = NETWORKS[self.network].suggested(self.optimiser)
        for name, value in suggested.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        _check_values(self)
        if self.plain_epochs is None:
            object.__setattr__(self, "plain_epochs", min(2, self.epochs - 1))
        if self.keep is None:
            settles = self.schedule in ("one-cycle", "cosine") and not self.patience
            object.__setattr__(self, "keep", "last" if settles else "best")
        _check_combinations(self)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def of_teacher(self, number: int) -> "Recipe":
        """The recipe of a network that is taught first; the same in all but what is said here."""
        own = {
            "network": self.teacher_network,
            "width": self.teacher_width if NETWORKS[self.teacher_network].widens else 1.0,
            "epochs": self.teacher_epochs,
            "plain_epochs": None,
            "dropout1": None,
            "dropout2": None,
            "learning_rate": None,
            "label_smoothing": 0.0,  # what is passed on should be the teacher's own doubts
            "pretrained": "",
            "teachers": 0,
            "keep": None,
            "seed": (self.seed + number * 1_000_003) % SEEDS,
        }
        return Recipe.made_of(self.as_dict(), own)

    @classmethod
    def made_of(cls, *layers: Mapping[str, Any]) -> "Recipe":
        """The default with the choices of each layer on top, the last one's first."""
        chosen: dict[str, Any] = {}
        for layer in layers:
            chosen |= layer
        unknown = set(chosen) - {knob_.name for knob_ in fields(cls)}
        if unknown:
            raise BadRecipe(f"no recipe has {', '.join(sorted(unknown))}")
        return cls(**chosen)

    @classmethod
    def add_flags(cls, parser: ArgumentParser) -> None:
        """One flag a field. What is not given is not in the parsed words."""
        group = parser.add_argument_group("recipe (defaults are those for MNIST)")
        for knob_ in fields(cls):
            group.add_argument(flag(knob_.name), dest=knob_.name, default=None, **_argument(knob_))

    @classmethod
    def given_in(cls, words: Namespace) -> dict[str, Any]:
        """What the user chose on the command line."""
        return {k.name: v for k in fields(cls) if (v := getattr(words, k.name)) is not None}

    def check_use(self, given: Mapping[str, Any]) -> None:
        """BadRecipe if one of the `given` knobs would do nothing in this recipe."""
        for name in given:
            for other_name, values in _USED_WITH.get(name, {}).items():
                value = getattr(self, other_name)
                if (value not in values) if values else not value:
                    needed = " ".join((flag(other_name), " or ".join(values))).rstrip()
                    raise BadRecipe(f"{flag(name)} is of use with {needed} only; it is {value}")


# Knobs that do nothing alone: what they need, and which values of it; none: any but 0.
_USED_WITH: dict[str, dict[str, tuple[str, ...]]] = {
    "momentum": {"optimiser": ("sgd",)},
    "decay_every": {"schedule": ("step",)},
    "decay_factor": {"schedule": ("step", "plateau")},
    "decay_patience": {"schedule": ("plateau",)},
    "contrast": {"spoiled": ()},
    "noise": {"spoiled": ()},
    "erasing": {"spoiled": ()},
    "teacher_network": {"teachers": ()},
    "teacher_width": {"teachers": ()},
    "teacher_epochs": {"teachers": ()},
    "distillation": {"teachers": ()},
    "softness": {"teachers": ()},
}


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _check_choices(recipe: Recipe) -> None:
    for knob_ in fields(Recipe):
        value, choices = getattr(recipe, knob_.name), knob_.metadata.get("choices")
        if choices and value not in choices and not (value is None is knob_.default):
            raise BadRecipe(
                f"{flag(knob_.name)} is {value!r}, it must be one of: {', '.join(choices)}"
            )


def _check_values(recipe: Recipe) -> None:
    """Numbers within bounds, as Python's own types: notebooks bring NumPy's, files want ours."""
    for knob_ in fields(Recipe):
        value = getattr(recipe, knob_.name)
        if value is None and knob_.name == "plain_epochs":
            continue  # it follows from the epochs
        if bounds := knob_.metadata.get("bounds"):
            object.__setattr__(recipe, knob_.name, _number(flag(knob_.name), value, *bounds))
        elif isinstance(knob_.default, bool) and not isinstance(value, bool):
            raise BadRecipe(f"{flag(knob_.name)} is {value!r}, it must be True or False")
        elif isinstance(knob_.default, str) and value is not None:
            object.__setattr__(recipe, knob_.name, str(value))


def _number(name: str, value: Any, low: float, high: float, kind: type) -> float:
    try:
        number: float = kind(value)
        right = not isinstance(value, str) and number == value and low <= value <= high
    except (TypeError, ValueError, OverflowError):  # no number, NaN or infinity as a whole one
        right = False
    if not right:
        whole = "a whole number from " if kind is int else ""
        raise BadRecipe(f"{name} is {value!r}, it must be {whole}{low} to {high}")
    return number


def _check_combinations(recipe: Recipe) -> None:
    """Options that contradict each other; reported before anything is loaded."""
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
                raise BadRecipe(f"{name} needs a validation part: --validation is 0")
    if recipe.min_delta and not recipe.patience:
        raise BadRecipe("--min-delta is of use with --patience only; it is 0")
    if recipe.width != 1 and not NETWORKS[recipe.network].widens:
        raise BadRecipe(f"--width is {recipe.width}, but {recipe.network} has one width only")
    if recipe.mixed_precision and recipe.device in ("cpu", "mps"):
        raise BadRecipe(f"--mixed-precision is for CUDA, --device is {recipe.device}")


def _argument(knob_: Any) -> dict[str, Any]:
    """The keyword arguments of add_argument for a field."""
    meaning = knob_.metadata["meaning"].replace("%", "%%")
    if choices := knob_.metadata.get("choices"):
        default = f" (default {knob_.default})" if knob_.default else ""
        return {"choices": choices, "help": f"{meaning}{default}"}
    if isinstance(knob_.default, bool):
        return {"action": BooleanOptionalAction, "help": meaning}
    if isinstance(knob_.default, str):
        return {"metavar": "FILE", "help": meaning}
    low, high, kind = knob_.metadata["bounds"]
    default = "" if knob_.default is None else f", default {knob_.default}"
    return {"type": kind, "metavar": "N", "help": f"{meaning} ({low} to {high}{default})"}


# Recipes with a name: what differs from the default.
PRESETS: dict[str, dict[str, Any]] = {
    # For a first look: 99.5 % in half a minute of CPU time.
    "quick": {
        "epochs": 3,
        "rotation": 0.0,
        "scale": 0.0,
        "shear": 0.0,
        "shift": 1.0,
        "spoiled": 0.0,
        "plain_epochs": 1,
    },
    "default": {},
    # For the last tenth of a percent: an hour and a half of CPU time, half of it for the teachers.
    "best": {
        "network": "deep",
        "epochs": 50,
        "teachers": 4,
        "teacher_network": "deep",
        "teacher_width": 1.5,
        "teacher_epochs": 20,
        "rotation": 12.0,
        "scale": 0.12,
        "aspect": 0.1,
        "shear": 0.15,
        "shift": 2.0,
        "elastic": 0.4,
        "spoiled": 0.03,
    },
}
