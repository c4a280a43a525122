"""What is known of a model before it is imported: its files, and what their user says of them.

file, labels, scaling, preparation --> the original, its answers for synthetic images
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from contract import card
from contract.card import (
    DigitPreparation,
    Interpolation,
    LetterboxPreparation,
    PhotoPreparation,
    Preparation,
    StretchPreparation,
)
from export import scenes
from export.export import log
from export.onnx_wrapping import SMALLEST, Scaling
from export.original import (
    TYPES,
    BadModel,
    ClassOutput,
    ImageInput,
    Numbers,
    Original,
)
from export.proof import TOLERANCE
from export.pytorch import read_network, write_onnx
from export.runners import Pixels, Rows
from preprocessing.preparation import Preparer, preparer_of

Kind = Literal["digit", "photo", "letterbox", "stretch"]
Returns = Literal["logits", "probabilities"]

DRAWN = 64  # images
LARGEST = 15 * 2**20  # bytes of one image's pixels: the golden set must hold one
RESIZED = 8 / 7  # of the size that is cut out of a photo: 256 of 224
NEAR = 1e-3  # of 0, 1 and a sum of 1: rounded probabilities
PLAIN = Scaling()  # pixels / 255


@dataclass(frozen=True)
class Source:
    """A model's files, and what they do not say of it."""

    file: Path  # model.onnx, or the weights of a PyTorch network
    labels: tuple[str, ...]
    builder: str | None = None  # module:callable, of a PyTorch network
    scaling: Scaling = PLAIN
    returns: Returns | None = None  # None: found out
    preparation: Kind | None = None  # None: photo, or digit for labels that are digits
    resize: int | None = None  # of a photo
    interpolation: Interpolation = "bilinear"
    size: tuple[int, int] | None = None  # height and width, where the file does not give them
    gray: bool = False
    images: str | None = None  # a folder with a folder of images for each label, or a data set


@dataclass(frozen=True)
class Examined:
    """The original, and how its numbers are made and read."""

    original: Original
    output: ClassOutput
    scaling: Scaling
    are_probabilities: bool
    preparation: Preparation
    rows: Callable[[Numbers], Rows]  # what it returns for images, one by one
    drawn: Pixels
    answers: Rows  # what it returned for the synthetic images

    @property
    def shape(self) -> tuple[int, ...]:
        return self.original.input.shape

    @property
    def prepare(self) -> Preparer:
        return preparer_of(self.preparation, self.shape)

    def reference(self, given: Pixels | None) -> tuple[Pixels, Rows]:
        """The synthetic images and the given ones, with its logits for them.

        The logits of probabilities are their logarithms.
        """
        pixels, rows = self.drawn, self.answers
        if given is not None:
            numbers = self.scaling(given, self.original.input)
            pixels, rows = (
                np.concatenate([pixels, given]),
                np.concatenate([rows, self.rows(numbers)]),
            )
        return pixels, np.log(rows + np.float32(SMALLEST)) if self.are_probabilities else rows

    @property
    def is_constant(self) -> bool:
        """Whether its answers hardly depend on the image, so that comparing them proves little."""
        return bool(np.ptp(self.answers, 0).max() < 10 * TOLERANCE)

    @property
    def is_divided(self) -> bool:
        """Whether its numbers become probabilities as they are divided by their sum."""
        return self.are_probabilities and _off_one(self.answers) > NEAR


def examine(source: Source, folder: Path) -> Examined:
    """The original, run on synthetic images. `folder` is for temporary files."""
    if source.builder is None:
        original = Original(source.file, size=source.size, gray=source.gray)
        rows = None
    else:
        if source.size is None:
            raise BadModel(f"the size of the images is not known: set --size for {source.builder}")
        shape: tuple[int, ...] = source.size if source.gray else (*source.size, 3)
        log(f"{source.file}: loading into {source.builder}, and exporting to ONNX")
        network = read_network(source.builder, source.file, classes=len(source.labels), shape=shape)
        path = folder / f"{source.file.stem}.onnx"
        write_onnx(network, path, shape)
        original = Original(path, size=source.size, gray=source.gray)
        original.path = source.file  # which messages name
        rows = network.rows
    shape = original.input.shape
    if int(np.prod(shape)) > LARGEST:
        raise BadModel(
            f"images of {shape} are larger than the {LARGEST:,} bytes that are supported"
        )
    _check_scaling(source, original.input)
    preparation = preparation_of(source, shape)
    drawn = scenes.draw(DRAWN, shape)
    numbers = source.scaling(drawn, original.input)
    output = original.class_output(numbers[: original.input.batch or 2], len(source.labels))
    rows = rows or (lambda images: original.rows(images, output))
    answers = rows(numbers)
    _check_answers(source, original, output, answers, numbers)
    are_probabilities = _are_probabilities(source, answers)
    found = "probabilities" if are_probabilities else "logits"
    log(f"{source.file}: {original.input} -> {output.name!r} (n, {output.classes}), {found}")
    return Examined(
        original=original,
        output=output,
        scaling=source.scaling,
        are_probabilities=are_probabilities,
        preparation=preparation,
        rows=rows,
        drawn=drawn,
        answers=answers,
    )


def preparation_of(source: Source, shape: tuple[int, ...]) -> Preparation:
    """The requested preparation, for a model that takes images of `shape`."""
    size, how = (shape[0], shape[1]), source.interpolation
    if max(size) > card.LONGEST_SIDE:
        raise BadModel(
            f"{source.file} takes images of {size[0]} x {size[1]} pixels; a side may have at most "
            f"{card.LONGEST_SIDE}: set a smaller --size, if it takes images of any size"
        )
    are_digits = shape == (card.SIDE, card.SIDE) and source.labels == tuple("0123456789")
    kind = source.preparation or ("digit" if are_digits else "photo")
    if source.resize is not None and kind != "photo":
        raise BadModel(f"--resize is for --preparation photo, not for {kind}")
    match kind:
        case "digit":
            if shape != (card.SIDE, card.SIDE):
                raise BadModel(
                    f"--preparation digit makes gray images of {card.SIDE} x {card.SIDE}, and the "
                    f"model takes {shape}: use photo, letterbox or stretch"
                )
            return DigitPreparation()
        case "letterbox":
            return LetterboxPreparation(size=size, interpolation=how)
        case "stretch":
            return StretchPreparation(size=size, interpolation=how)
    resize = source.resize
    if resize is None:
        resize = min(round(max(size) * RESIZED), card.LONGEST_SIDE)
    if resize > card.LONGEST_SIDE:
        raise BadModel(f"--resize {resize} is more than {card.LONGEST_SIDE}, the largest value")
    if resize < max(size):
        raise BadModel(
            f"--resize {resize} is less than {max(size)}, the side that is cut out of it"
        )
    return PhotoPreparation(resize=resize, size=size, interpolation=how)


def _check_scaling(source: Source, image_input: ImageInput) -> None:
    channels = 3 if len(image_input.shape) == 3 else 1
    for flag, values in (("--mean", source.scaling.mean), ("--std", source.scaling.std)):
        if len(values) not in (1, channels):
            raise BadModel(
                f"{flag} has {len(values)} numbers, and the images have {channels} channels: give "
                "one number, or one for each"
            )
    if TYPES[image_input.dtype] == "uint8" and source.scaling != PLAIN:
        raise BadModel(
            f"the input {image_input.name!r} takes bytes, which the model scales itself: leave out "
            "--scale, --mean and --std"
        )


def _check_answers(
    source: Source, original: Original, output: ClassOutput, answers: Rows, numbers: Numbers
) -> None:
    if answers.shape[1] != len(source.labels):
        raise BadModel(
            f"there are {len(source.labels)} labels, and the output {output.name!r} of "
            f"{source.file} has {answers.shape[1]} classes: write one label per line, in the order "
            "of the classes"
        )
    bad = ~np.isfinite(answers).all(1)
    if bad.any():
        node = original.first_not_finite(numbers[np.flatnonzero(bad)[0]])
        raise BadModel(
            f"{source.file} returns NaN or infinity for {bad.sum()} of {len(answers)} synthetic "
            f"images{node}: check its weights, and the scaling of its input (--mean, --std and "
            "--scale)"
        )


def _are_probabilities(source: Source, answers: Rows) -> bool:
    between = bool(answers.min() >= 0 and 0 < answers.max() <= 1 + NEAR)
    sums, off = answers.sum(1), _off_one(answers)
    found = (
        f"the numbers of {source.file} range from {answers.min():.3g} to {answers.max():.3g}, and "
        f"their sums for an image from {sums.min():.3g} to {sums.max():.3g}"
    )
    if source.returns == "probabilities" and not between:
        raise BadModel(f"{found}: they are no probabilities. Use --logits")
    if source.returns is None and between and off > NEAR:
        raise BadModel(
            f"{found}, as those of a sigmoid for each class: they are neither the probabilities "
            "of a softmax nor, probably, logits. Export the model without its last layer; or use "
            "--probabilities, which divides them by their sum, or --logits if they are logits"
        )
    if source.returns == "logits" and between and off <= NEAR:
        log(
            f"{source.file}: its numbers look like probabilities; they are used as logits, because "
            "--logits is given"
        )
    return between if source.returns is None else source.returns == "probabilities"


def _off_one(answers: Rows) -> float:
    """The largest difference of the sum of an image's numbers from 1."""
    return float(np.abs(answers.sum(1) - 1).max())
