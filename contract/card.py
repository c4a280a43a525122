"""The model card: what one model version is, how it was made and how it was proven.

The card is the file card.json in the version's folder. It holds the sha256 of every other file and
everything that the service needs to know about the training. A card with a missing, unknown or
ill-typed field is rejected, and the error names that field.

    pixels         (n, 28, 28) uint8, 0 = paper, 255 = ink: the graph's input
    logits         (n, labels) float32, divided by the temperature
    probabilities  (n, labels) float32, each row sums to 1

Scaling, normalisation, temperature and softmax are layers of the graph. Its only dynamic axis is n.
`python -m contract schema` prints the JSON Schema of a card.
"""

import json
from datetime import datetime
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

SIDE = 28  # pixels
INPUT, LOGITS, PROBABILITIES = "pixels", "logits", "probabilities"  # tensor names

# Files of a version. Every graph has the same input and outputs.
ONNX = "model.onnx"  # float32
FP16 = "model.fp16.onnx"  # half precision inside
INT8 = "model.int8.onnx"  # 8-bit integers, calibrated on training images
TORCHSCRIPT = "model.ts"  # for programs that use libtorch
EXPORTED = "model.pt2"  # torch.export's, TorchScript's successor
GOLDEN = "golden.npz"  # pixels (64, 28, 28) uint8 and PyTorch's logits (64, labels) for them
SAMPLE = "sample.png"  # one test image
SAMPLES, SAMPLE_LABELS = "samples.png", "samples.json"  # a sheet of test images; their labels
MISTAKES, MISTAKE_FACTS = "mistakes.png", "mistakes.json"  # misclassified images, if there are any

SCHEMA: Final = 3  # version of the card's schema; raised when readers must know of a change
OLDEST: Final = 2  # oldest schema that is still read; it has no `acceptance`

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(gt=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# A plain name: a card cannot point outside its own folder.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class BadCard(ValueError):
    """card.json is not a model card; the message names each wrong field and the reason."""


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class TensorFacts(_Facts):
    name: str
    dtype: Literal["uint8", "float32"]
    shape: tuple[int | str, ...]  # a name stands for a dynamic axis: ("n", 28, 28)


class DataFacts(_Facts):
    name: str  # "mnist", "digits" or the name of the user's folder
    source: str  # where it was read from
    train: Count  # images that the weights were trained on
    validation: Count  # images held out, on which the temperature was fitted
    test: Count  # images on which all numbers below were measured


class ClassReport(_Facts):
    label: str
    precision: Fraction
    recall: Fraction
    f1: Fraction
    support: Count  # test images of this class


class Evaluation(_Facts):
    """Results on the whole test set."""

    accuracy: Fraction
    calibration_error: Fraction  # expected calibration error, 15 bins, after the temperature
    calibration_error_before: Fraction  # the same with temperature 1
    per_class: tuple[ClassReport, ...]


class Acceptance(_Facts):
    """The confidence from which predictions are accepted, and the effect. All are fractions.

    The threshold was chosen on the validation images; only the test images are new to it.
    """

    threshold: Fraction  # the lowest that reaches `wanted`; 1 where none does
    wanted: Fraction  # accuracy required of the accepted validation images
    validation_accepted: Fraction  # share of all validation images
    validation_accuracy: Fraction | None  # of the accepted images; None: there are none
    test_accepted: Fraction
    test_accuracy: Fraction | None


class Parity(_Facts):
    """One artifact compared with PyTorch on the whole test set. Its size is in `files`."""

    accuracy: Fraction
    different_answers: Count  # test images on which the predicted classes differ
    largest_difference: Annotated[float, Field(ge=0)]  # between two logits
    mean_difference: Annotated[float, Field(ge=0)]
    seconds_1: Seconds  # median of a call with one image, on one thread of `measured_on`
    seconds_64: Seconds  # of a call with 64 images


class FileFacts(_Facts):
    sha256: Sha256
    size: Count  # bytes


class ModelCard(_Facts):
    schema_version: Literal[2, 3]
    name: str
    created: Annotated[datetime, Field(strict=False)]
    labels: Annotated[tuple[str, ...], Field(min_length=2)]
    input: TensorFacts
    outputs: tuple[TensorFacts, ...]
    network: str
    parameters: Count
    run: str  # the training run it came from
    recipe: dict[str, int | float | str | bool]
    data_set: DataFacts
    temperature: Annotated[float, Field(gt=0)]
    evaluation: Evaluation
    acceptance: Acceptance | None  # None: too few validation images, or schema 2
    opset: Count  # of the ONNX operators
    parity: dict[FileName, Parity]
    left_out: dict[FileName, str]  # artifacts this version does not have, with the reason
    measured_on: str  # the processor behind the seconds in `parity`
    git_commit: str | None  # None: exported outside a git checkout
    libraries: dict[str, str]
    files: dict[FileName, FileFacts]  # every other file of the version; filled in when published

    @model_validator(mode="after")
    def _graph_fits_labels(self) -> Self:
        if (self.input, self.outputs) != tensors(len(self.labels)):
            raise ValueError(f"input and outputs must be {tensors(len(self.labels))}")
        return self

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The card in the text of card.json; BadCard names every wrong field."""
        try:
            return cls.model_validate_json(_upgraded(text))
        except ValidationError as error:
            wrong = (
                f"{'.'.join(map(str, e['loc'])) or 'the card'}: {e['msg']}" for e in error.errors()
            )
            raise BadCard("; ".join(wrong)) from error

    def to_json(self) -> str:
        return self.model_dump_json(indent=2) + "\n"


def _upgraded(text: str | bytes) -> str | bytes:
    """The text of an older card, with the fields that its schema did not have yet.

    A card of an unsupported schema version is rejected in one sentence, because the validation
    would complain about its fields one by one. All other mistakes are left to the validation.
    """
    try:
        card = json.loads(text)
        found = card["schema_version"]
    except (ValueError, KeyError, TypeError):
        return text
    if type(found) is int and found > SCHEMA:
        raise BadCard(
            f"its schema_version is {found}, newer than {SCHEMA}, the newest that this program "
            "reads: update digitserve, or export the run again with this one"
        )
    if type(found) is int and found < OLDEST:
        raise BadCard(
            f"its schema_version is {found}, older than {OLDEST}, the oldest that this program "
            "reads: export the run again"
        )
    return json.dumps({"acceptance": None} | card) if found == OLDEST else text


def tensors(classes: int) -> tuple[TensorFacts, tuple[TensorFacts, TensorFacts]]:
    """Input and outputs of every graph of this project with that number of classes."""
    row = ("n", classes)
    return (
        TensorFacts(name=INPUT, dtype="uint8", shape=("n", SIDE, SIDE)),
        (
            TensorFacts(name=LOGITS, dtype="float32", shape=row),
            TensorFacts(name=PROBABILITIES, dtype="float32", shape=row),
        ),
    )
