"""The model card: what one model version is, how it was made and how it was proven.

The card is the file card.json in the version's folder. It holds the sha256 of every other file and
everything that the service needs to know about the training. A card with a missing, unknown or
ill-typed field is rejected, and the error names that field.

    pixels         (n, h, w) or (n, h, w, 3) uint8, gray or RGB: the graph's input
    logits         (n, labels) float32, divided by the temperature
    probabilities  (n, labels) float32, each row sums to 1

Scaling, normalisation, temperature and softmax are layers of the graph. Its only dynamic axis is n.
`preparation` describes how any image becomes such pixels; `preprocessing` does it, for training and
service alike. For a model of digits the pixels are (n, 28, 28), 0 = paper, 255 = ink.
`python -m contract schema` prints the JSON Schema of a card.
"""

import json
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError, model_validator

from contract.label import Label

SIDE = 28  # pixels of a normalised digit
INPUT, LOGITS, PROBABILITIES = "pixels", "logits", "probabilities"  # tensor names

# Files of a version. Every graph has the same input and outputs.
ONNX = "model.onnx"  # float32
FP16 = "model.fp16.onnx"  # half precision inside
INT8 = "model.int8.onnx"  # 8-bit integers, calibrated on training images
TORCHSCRIPT = "model.ts"  # for programs that use libtorch
EXPORTED = "model.pt2"  # torch.export's, TorchScript's successor
GOLDEN = "golden.npz"  # up to 64 pixels of the graph's input, and logits (n, labels) for them
SAMPLE = "sample.png"  # one test image
SAMPLES, SAMPLE_LABELS = "samples.png", "samples.json"  # a sheet of test images; their labels
MISTAKES, MISTAKE_FACTS = "mistakes.png", "mistakes.json"  # misclassified images, if there are any
GATE = "gate.json"  # the comparison with the version before, if there was one
# Test images that one of the two versions classifies correctly, if there are any.
CHANGED, CHANGED_FACTS = "changed.png", "changed.json"

SCHEMA: Final = 6  # version of the card's schema; raised when readers must know of a change
OLDEST: Final = 2  # oldest schema that is still read
# Fields that a schema did not have yet, with the values that its cards had in effect.
_ADDED: Final[dict[int, dict[str, Any]]] = {
    5: {"non_digits": None},
    4: {"job": None, "gate": None, "inputs": None},
    3: {"preparation": {"kind": "digit"}, "imported": None},
    2: {"acceptance": None},
}

MOST_NAMED = 50  # wrong fields in an error
# Of millions of wrong values, the list of errors would fill the memory.
MOST_FIELDS = 200  # of an object
MOST_VALUES = 10**6  # a class takes six
MOST_BINS = 101  # of a histogram: each has a series in the metrics

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(gt=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# A plain name: a card cannot point outside its own folder.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class BadCard(ValueError):
    """card.json is not a model card; the message names each wrong field and the reason."""


class NewerCard(BadCard):
    """The card has a newer schema than this program reads."""


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class TensorFacts(_Facts):
    name: str  # `pixels`, `logits` or `probabilities`
    dtype: Literal["uint8", "float32"]  # type of its values
    shape: Annotated[tuple[int | str, ...], FailFast()]  # "n" is the dynamic axis of images


LONGEST_SIDE = 4096  # pixels
Side = Annotated[int, Field(ge=1, le=LONGEST_SIDE)]  # pixels
Size = tuple[Side, Side]  # height, width
# Pillow's filters of these names; all but `nearest` average the pixels when they shrink an image.
Interpolation = Literal["bilinear", "bicubic", "lanczos", "nearest"]


class DigitPreparation(_Facts):
    """The digit is found, cut out, scaled and centred as in MNIST: white ink on black, 28x28."""

    kind: Literal["digit"] = "digit"  # which preparation this is
    size: tuple[Literal[28], Literal[28]] = (28, 28)  # height and width in pixels


class PhotoPreparation(_Facts):
    """The shorter side is scaled to `resize` pixels, and the middle of `size` is cut out."""

    kind: Literal["photo"] = "photo"  # which preparation this is
    resize: Side  # shorter side in pixels, before the cut
    size: Size  # height and width in pixels
    interpolation: Interpolation = "bilinear"  # filter of the scaling

    @model_validator(mode="after")
    def _holds_the_middle(self) -> Self:
        if self.resize < max(self.size):
            raise ValueError(
                f"resize is {self.resize}, less than {max(self.size)}, the longer side of size"
            )
        return self


class LetterboxPreparation(_Facts):
    """The whole image is scaled to fit into `size`; the rest is filled with the level `fill`."""

    kind: Literal["letterbox"] = "letterbox"  # which preparation this is
    size: Size  # height and width in pixels
    fill: Annotated[int, Field(ge=0, le=255)] = 255  # level of all channels; 255: white
    interpolation: Interpolation = "bilinear"  # filter of the scaling


class StretchPreparation(_Facts):
    """The whole image is scaled to `size`, whatever its proportions."""

    kind: Literal["stretch"] = "stretch"  # which preparation this is
    size: Size  # height and width in pixels
    interpolation: Interpolation = "bilinear"  # filter of the scaling


# How any image becomes the graph's pixels. All but the digits': upright by EXIF, transparent parts
# on white, then RGB or gray as the graph's input is.
Preparation = Annotated[
    DigitPreparation | PhotoPreparation | LetterboxPreparation | StretchPreparation,
    Field(discriminator="kind"),
]


class Imported(_Facts):
    """A model that was trained elsewhere: its file, and how far it is known."""

    file: str  # its name, without the folder
    sha256: Sha256  # of the file
    format: Literal["onnx", "torch"]  # an ONNX file, or PyTorch weights
    proven: Annotated[tuple[str, ...], FailFast()]  # what was checked, in sentences
    unknown: Annotated[tuple[str, ...], FailFast()]  # what could not be checked, in sentences


class DataFacts(_Facts):
    name: str  # "mnist", "digits" or the name of the user's folder
    source: str  # where it was read from
    train: Count  # images that the weights were trained on
    validation: Count  # images held out, on which the temperature was fitted
    test: Count  # images on which all numbers below were measured
    also: Count = 0  # of the training images, those of `--also`, such as corrections of users
    held_out: Count = 0  # images of `--also` that were not trained on: the gate judges by them too


class ClassReport(_Facts):
    label: str  # the class
    precision: Fraction  # share of the predictions of this class that are correct
    recall: Fraction  # share of its test images that are classified correctly
    f1: Fraction  # harmonic mean of precision and recall
    support: Count  # test images of this class


class Evaluation(_Facts):
    """Results on the whole test set."""

    accuracy: Fraction  # share of the test images that are classified correctly
    calibration_error: Fraction  # expected calibration error, 15 bins, after the temperature
    calibration_error_before: Fraction  # the same with temperature 1
    per_class: Annotated[tuple[ClassReport, ...], FailFast()]  # in the order of the labels


class Acceptance(_Facts):
    """The confidence from which predictions are accepted, and the effect. All are fractions.

    The threshold was chosen on the validation images; only the test images are new to it.
    """

    threshold: Fraction  # the lowest that reaches `wanted`; 1 where none does
    wanted: Fraction  # accuracy required of the accepted validation images, to within chance
    validation_accepted: Fraction  # share of all validation images
    validation_accuracy: Fraction | None  # of the accepted images; None: there are none
    test_accepted: Fraction  # share of all test images
    test_accuracy: Fraction | None  # of the accepted images; None: there are none


class NonDigits(_Facts):
    """The effect of a threshold on images that are not one digit. All but counts are fractions.

    The threshold was chosen on the validation images, digits and others; only the test images are
    new to it. Letters, scribbles, textures, several digits and pieces of digits were drawn for it,
    other ones than those that the network was trained on.
    """

    threshold: Fraction  # the lowest that accepts `wanted` or fewer, without refusing many digits
    wanted: Fraction  # share of the validation images that are no digit
    validation: Count  # such images
    validation_accepted: Fraction  # of them
    validation_refused: Fraction  # of the validation digits
    test: Count  # test images that are no digit
    test_accepted: Fraction  # of them
    test_refused: Fraction  # of the test digits


class Parity(_Facts):
    """One artifact compared with PyTorch on the whole test set. Its size is in `files`.

    Of an imported model: compared with the original on the images that were given or drawn.
    """

    accuracy: Fraction | None  # None: the images have no labels
    different_answers: Count  # test images on which the predicted classes differ
    largest_difference: Annotated[float, Field(ge=0)]  # between two logits
    mean_difference: Annotated[float, Field(ge=0)]  # between all logits
    seconds_1: Seconds  # median of a call with one image, on one thread of `measured_on`
    seconds_64: Seconds  # of a call with 64 images


class Check(_Facts):
    """One of the conditions under which a version may replace another."""

    name: str  # "accuracy", "recall of 7", "calibration", ...
    passed: bool  # whether the condition holds
    candidate: float | None  # value of the new version; None: it was not measured
    current: float | None  # value of the version before; None: it was not measured
    reason: str  # a sentence with the numbers and the limit


class Gate(_Facts):
    """A version compared with the one that was current, both by their ONNX on the same images."""

    parent: Annotated[int, Field(ge=1)]  # the version that was current
    verdict: Literal["better", "equal", "worse"]  # worse: a check failed
    images: Count  # test images, and held-out corrections that an admin accepted
    gained: Count  # of these images, those that only the candidate classifies correctly
    lost: Count  # those that only the current version does
    p_value: Fraction  # of the paired test (McNemar) that neither is better
    # Corrections that nobody reviewed count in their own check alone.
    unreviewed_gained: Count = 0  # as `gained`, of held-out corrections that nobody reviewed
    unreviewed_lost: Count = 0  # as `lost`, of the same corrections
    unreviewed_trained: Count = 0  # such corrections that the candidate was trained on
    excluded: Count = 0  # test images that either was trained on: they are not among `images`
    checks: Annotated[tuple[Check, ...], Field(min_length=1), FailFast()]  # passed or not

    @property
    def unreviewed_improved(self) -> bool:
        """Whether it gains among the corrections that nobody reviewed."""
        return self.unreviewed_gained > self.unreviewed_lost


class Histogram(_Facts):
    """Shares of values by bin: bin i holds those above edges[i - 1] and up to edges[i], inclusive.

    The first bin holds all up to the first edge, the last all above the last edge.
    """

    edges: Annotated[tuple[float, ...], Field(max_length=MOST_BINS - 1), FailFast()]  # ascending
    shares: Annotated[tuple[Fraction, ...], FailFast()]  # one more than edges

    @model_validator(mode="after")
    def _has_a_share_for_each_bin(self) -> Self:
        if len(self.shares) != len(self.edges) + 1 or tuple(sorted(self.edges)) != self.edges:
            raise ValueError("a histogram has ascending edges, and a share for each bin")
        return self


class FileFacts(_Facts):
    sha256: Sha256  # of its content, in hexadecimal
    size: Count  # bytes


class ModelCard(_Facts):
    schema_version: Literal[2, 3, 4, 5, 6]  # version of the format of this card
    name: str  # name of the model, such as digits
    created: Annotated[datetime, Field(strict=False)]  # time of the export or import
    labels: Annotated[tuple[Label, ...], Field(min_length=2), FailFast()]  # the classes, in order
    input: TensorFacts  # the tensor `pixels`
    outputs: Annotated[tuple[TensorFacts, ...], FailFast()]  # `logits` and `probabilities`
    preparation: Preparation  # how any image becomes pixels
    network: str  # its name, or `module:callable`
    parameters: Count  # number of trained values in the network
    run: str | None  # the training run it came from; None: imported
    imported: Imported | None  # None: trained by this project
    job: str | None  # the retraining job that made it
    gate: Gate | None  # None: it was not compared with the version before it
    # What the test images are like, by quantity: what the images of requests are compared with.
    # Quantities of `preprocessing.statistics`; "confidence", of the predictions; and "label", the
    # index of the predicted class, with a bin for each of the first 100 classes and one for all
    # others. A quantity is missing where there are too few images.
    inputs: dict[str, Histogram] | None  # of the test images, by quantity; None: not measured
    recipe: dict[str, int | float | str | bool]  # options of the training
    data_set: DataFacts | None  # None: imported, and not evaluated
    temperature: Annotated[float, Field(gt=0)]  # by which the graph divides the logits
    evaluation: Evaluation | None  # None: imported, and no labelled images were given
    acceptance: Acceptance | None  # None: too few validation images, or schema 2
    non_digits: NonDigits | None  # None: not trained on any, or schema 5
    opset: Count  # of the ONNX operators
    parity: dict[FileName, Parity]  # by artifact, the proof that it predicts the same
    left_out: dict[FileName, str]  # artifacts this version does not have, with the reason
    measured_on: str  # the processor behind the seconds in `parity`
    git_commit: str | None  # None: exported outside a git checkout
    libraries: dict[str, str]  # versions of the libraries that made it
    files: dict[FileName, FileFacts]  # every other file of the version; filled in when published

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        shape = self.input.shape[1:]
        if shape not in (self.preparation.size, (*self.preparation.size, 3)):
            raise ValueError(
                f"the input is {self.input.shape}, but its preparation makes images of "
                f"{self.preparation.size}"
            )
        if self.preparation.kind == "digit" and len(shape) > 2:
            raise ValueError("the preparation of digits makes gray images, the input has colours")
        if len(set(self.labels)) < len(self.labels):
            twice = next(label for label in self.labels if self.labels.count(label) > 1)
            raise ValueError(f"two classes have the label {twice!r}")
        expected = tensors(len(self.labels), self.shape)
        if (self.input, self.outputs) != expected:
            raise ValueError(f"input and outputs must be {expected}")
        if (self.run is None) != (self.imported is not None):
            raise ValueError("a version is of a run or imported, one of the two")
        if self.run is not None and None in (self.data_set, self.evaluation):
            raise ValueError("a version of a run has a data set and an evaluation")
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image in the graph's input: (h, w) or (h, w, 3)."""
        return tuple(int(side) for side in self.input.shape[1:])

    @property
    def threshold(self) -> float:
        """The confidence below which a prediction is uncertain, 0 where none is."""
        found = [each.threshold for each in (self.acceptance, self.non_digits) if each]
        return max(found, default=0.0)

    @property
    def are_digits(self) -> bool:
        """Whether the labels are 0, 1, ... in order, each one digit."""
        return len(self.labels) <= 10 and self.labels == tuple(map(str, range(len(self.labels))))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The card in the text of card.json; BadCard names the wrong fields."""
        try:
            return cls.model_validate_json(_upgraded(text))
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            wrong = [
                f"{'.'.join(map(str, e['loc'])) or 'the card'}: {e['msg']}"
                for e in found[:MOST_NAMED]
            ]
            if len(found) > MOST_NAMED:
                wrong.append(f"and {len(found) - MOST_NAMED} more")
            raise BadCard("; ".join(wrong)) from None  # its text has a line for each of them

    def to_json(self) -> str:
        return self.model_dump_json(indent=2) + "\n"


def _upgraded(text: str | bytes) -> str | bytes:
    """The text of an older card, with the fields that its schema did not have yet.

    A card of an unsupported schema version is rejected in one sentence, because the validation
    would complain about its fields one by one. All other mistakes are left to the validation.
    """
    values = text.count(",") if isinstance(text, str) else text.count(b",")
    if values > MOST_VALUES:
        raise BadCard(f"it has more than {MOST_VALUES:,} values")
    try:
        card = json.loads(text, object_pairs_hook=_object)
        found = card["schema_version"]
    except BadCard:
        raise
    except (ValueError, KeyError, TypeError, RecursionError):
        return text
    if type(found) is int and found > SCHEMA:
        raise NewerCard(
            f"its schema_version is {found}, newer than {SCHEMA}, the newest that this program "
            "reads: update digitserve, or export the run again with this one"
        )
    if type(found) is int and found < OLDEST:
        raise BadCard(
            f"its schema_version is {found}, older than {OLDEST}, the oldest that this program "
            "reads: export the run again"
        )
    if type(found) is not int or found == SCHEMA:
        return text
    for schema in range(SCHEMA - 1, found - 1, -1):
        card = _ADDED[schema] | card
    return json.dumps(card)


def _object(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(fields) > MOST_FIELDS:
        raise BadCard(f"an object has {len(fields)} fields, more than {MOST_FIELDS}")
    return dict(fields)


def tensors(
    classes: int, shape: tuple[int, ...] = (SIDE, SIDE)
) -> tuple[TensorFacts, tuple[TensorFacts, TensorFacts]]:
    """Input and outputs of every graph of this project with that number of classes.

    `shape` is that of one image: (h, w) or (h, w, 3).
    """
    row = ("n", classes)
    return (
        TensorFacts(name=INPUT, dtype="uint8", shape=("n", *shape)),
        (
            TensorFacts(name=LOGITS, dtype="float32", shape=row),
            TensorFacts(name=PROBABILITIES, dtype="float32", shape=row),
        ),
    )
