"""Publishes a model that was trained elsewhere, once its wrapped graph is proven equal to it.

    model.onnx -----------------------> original --wrapped--> model.onnx of the version
    module:build + weights --to ONNX--^     |                     |
               synthetic and given images -+- the same logits? --+--> models/<name>/<version>/

The card says what was proven and what is unknown: without labelled images, how accurate it is.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import onnx
from numpy.typing import NDArray

from contract import card
from contract.card import (
    DataFacts,
    Evaluation,
    Imported,
    ModelCard,
    Parity,
)
from contract.files import facts_of
from contract.provenance import git_commit, library_versions, processor
from contract.store import Store
from contract.version import Version
from export import runners
from export.artifacts import ARTIFACTS, BadGraph, check_onnx, part_for_calibration, quantise
from export.export import evaluation_of, log, make_current, one_thread
from export.inputs import inputs_of
from export.onnx_wrapping import INNER, wrap
from export.original import BadModel, runtime_error
from export.proof import TOLERANCE, LosesTooMuch, Predictions, latency, predictions_of, prove
from export.runners import Labels, Pixels, Rows
from export.samples import MOST, write_golden, write_mistakes, write_sample, write_samples
from export.source import DRAWN, Examined, Source, examine
from training.data import find_test_images
from training.settings import mnist_dir

if TYPE_CHECKING:
    from contract.signature import Sign

IMPORTED = ("onnx", "int8")  # artifacts that an imported model may have
GIVEN = 64  # of the labelled images, on which the original runs too


@dataclass(frozen=True)
class Labelled:
    """The given images with the predictions of the version."""

    pixels: Pixels
    labels: Labels
    predictions: Predictions
    evaluation: Evaluation

    def some(self, most: int) -> tuple[Pixels, Labels]:
        """A random sample, always the same."""
        order = _shuffled(self.labels)[:most]
        return self.pixels[order], self.labels[order]


def import_model(
    source: Source,
    store: Store,
    *,
    artifacts: tuple[str, ...] = ("onnx",),
    sign: "Sign | None" = None,
    activate: bool = True,
) -> Version:
    """Publish the model as the next version of `store`.

    Raises BadModel, BadGraph, BadData, a StoreError or an OSError if nothing was published;
    NotActivated or NotConfirmed otherwise.
    """
    if activate:
        store.check_signer(sign)  # before the proof, which takes long
    with TemporaryDirectory() as folder, one_thread():
        examined = examine(source, Path(folder))
        given = _given(source, examined)
        with store.draft() as draft:
            path = draft / card.ONNX
            _write(examined, path)
            some = given and given[0][_shuffled(given[1])[:GIVEN]]
            pixels, reference = examined.reference(some)
            parity = {card.ONNX: _compare(examined, path, pixels, reference)}
            labelled = given and _evaluate(path, *given, source.labels)
            if labelled:
                parity[card.ONNX] = parity[card.ONNX].model_copy(
                    update={"accuracy": labelled.evaluation.accuracy}
                )
            left_out = _left_out(artifacts)
            if "int8" in artifacts:
                _write_int8(draft, examined, labelled, parity, left_out)
            _write_images(draft, source, examined, pixels, reference, labelled)
            facts = _card(source, examined, labelled, pixels, parity, left_out, store.folder.name)
            version = store.publish(draft, facts, sign)
    if activate:
        make_current(store, version)
    return version


def _write(examined: Examined, path: Path) -> None:
    model = wrap(
        examined.original,
        examined.output,
        examined.scaling,
        are_probabilities=examined.are_probabilities,
    )
    onnx.save(model, path)
    try:
        check_onnx(path, examined.shape)
    except BadGraph as error:
        raise _refused(examined, str(error)) from error


def _compare(examined: Examined, path: Path, pixels: Pixels, reference: Rows) -> Parity:
    """The wrapped graph against the original; BadModel if a logit differs too much."""
    log(f"{path.name}: comparing with the original on {len(pixels)} images")
    try:
        model = runners.onnx_runtime(path)
        predictions = predictions_of(model, pixels)
    except Exception as error:  # ONNX Runtime's errors have no class in common
        raise _refused(examined, runtime_error(error)) from error
    if predictions.logits.shape != reference.shape:
        raise _refused(examined, f"{len(pixels)} images have {len(predictions.logits)} answers")
    difference = np.abs(predictions.logits - reference)
    largest = float(difference.max())
    if not _are_close(examined, predictions.logits, reference):
        alone = np.concatenate([model(image[None])[0] for image in pixels])
        if _are_close(examined, alone, reference):
            reason = "what it returns for an image depends on the others in its batch"
            raise _refused(examined, reason)
        raise _refused(
            examined,
            f"a logit differs from the original's by {largest:.2g}, relative to it by more than "
            f"{TOLERANCE:.0e}",
        )
    return Parity(
        accuracy=None,
        different_answers=int((predictions.classes != reference.argmax(1)).sum()),
        largest_difference=largest,
        mean_difference=float(difference.mean()),
        seconds_1=latency(model, 1, examined.shape),
        seconds_64=latency(model, 64, examined.shape),
    )


def _are_close(examined: Examined, logits: Rows, reference: Rows) -> bool:
    """Relative to the largest logit of an image, as all are sums of numbers of that size.

    Logarithms of probabilities are compared one by one.
    """
    size = np.abs(reference)
    if not examined.are_probabilities:
        size = size.max(1, keepdims=True)  # (n, 1)
    return bool((np.abs(logits - reference) <= TOLERANCE * np.maximum(1, size)).all())


def _refused(examined: Examined, reason: str) -> BadModel:
    path, batch = examined.original.path, examined.original.input.batch
    reason = reason.replace(INNER, "")  # the names in the user's file
    if batch is None:
        return BadModel(f"{path} cannot be imported: {reason}. Check its weights and its scaling")
    return BadModel(
        f"{path} takes {batch} images at once, and cannot be made to take another number: "
        f"{reason}. Export it again with a free batch axis"
    )


# ---- labelled images -------------------------------------------------------------------------


def _given(source: Source, examined: Examined) -> tuple[Pixels, Labels] | None:
    if source.images is None:
        return None
    log(f"{source.images}: reading images")
    _, part = find_test_images(
        source.images, source.labels, prepare=examined.prepare, mnist_dir=mnist_dir(), foreign=True
    )
    return part


def _shuffled(labels: Labels) -> NDArray[np.intp]:
    """Indices of images, which are class by class, in random order."""
    return np.random.default_rng(0).permutation(len(labels))


def _evaluate(path: Path, pixels: Pixels, labels: Labels, names: tuple[str, ...]) -> Labelled:
    log(f"{path.name}: measuring on {len(pixels):,} images")
    predictions = predictions_of(runners.onnx_runtime(path), pixels)
    evaluation = evaluation_of(predictions, labels, names, temperature=1)
    return Labelled(pixels, labels, predictions, evaluation)


def _left_out(artifacts: tuple[str, ...]) -> dict[str, str]:
    return {
        artifact.file: "it was not requested" if name in IMPORTED else "the model is imported"
        for name, artifact in ARTIFACTS.items()
        if name not in artifacts
    }


def _write_int8(
    draft: Path,
    examined: Examined,
    labelled: Labelled | None,
    parity: dict[str, Parity],
    left_out: dict[str, str],
) -> None:
    """Write and measure model.int8.onnx; if it is not accurate enough, only the reason."""
    if labelled is None:
        left_out[card.INT8] = "without labelled images its loss of accuracy cannot be measured"
        return
    if len(labelled.pixels) < 2:
        left_out[card.INT8] = "one labelled image cannot both calibrate and measure it"
        return
    path, artifact = draft / card.INT8, ARTIFACTS["int8"]
    apart, rest = part_for_calibration(labelled.pixels)
    log(f"{path.name}: calibrating on {len(apart):,} images, and comparing on {len(rest):,} others")
    quantise(draft / card.ONNX, path, labelled.pixels[apart])
    check_onnx(path, examined.shape)
    model = artifact.load(path)
    predictions = predictions_of(model, labelled.pixels)
    try:
        measured = prove(
            path.name,
            predictions.of(rest),
            labelled.predictions.of(rest),
            labelled.labels[rest],
            may_lose=artifact.may_lose,
        )
    except LosesTooMuch as reason:
        path.unlink()
        left_out[path.name] = str(reason)
        return
    parity[path.name] = Parity(
        **measured,
        seconds_1=latency(model, 1, examined.shape),
        seconds_64=latency(model, 64, examined.shape),
    )


# ---- what is published -----------------------------------------------------------------------


def _write_images(
    draft: Path,
    source: Source,
    examined: Examined,
    pixels: Pixels,
    reference: Rows,
    labelled: Labelled | None,
) -> None:
    """The golden set, with the original's logits; and samples, of the labelled images only."""
    first = 0 if labelled is None else DRAWN  # of the given images among `pixels`
    chosen = pixels[first:], reference[first:]
    no_labels = np.zeros(len(chosen[0]), np.uint8)
    golden = Predictions(chosen[1], chosen[1])
    write_golden(draft, chosen[0], no_labels, golden)
    if labelled is None:
        write_sample(draft, pixels[-1], examined.prepare)
        return
    write_samples(draft, *labelled.some(MOST), source.labels, examined.prepare)
    write_mistakes(draft, labelled.pixels, labelled.labels, source.labels, labelled.predictions)


def _card(
    source: Source,
    examined: Examined,
    labelled: Labelled | None,
    pixels: Pixels,
    parity: dict[str, Parity],
    left_out: dict[str, str],
    name: str,
) -> ModelCard:
    graph_input, graph_outputs = card.tensors(len(source.labels), examined.shape)
    libraries = (
        ("onnx", "onnxruntime") if source.builder is None else ("onnx", "onnxruntime", "torch")
    )
    return ModelCard(
        schema_version=card.SCHEMA,
        name=name,
        created=datetime.now(UTC),
        labels=source.labels,
        input=graph_input,
        outputs=graph_outputs,
        preparation=examined.preparation,
        network=source.builder or source.file.stem,
        parameters=examined.original.parameters,
        run=None,
        imported=_imported(source, examined, labelled, len(pixels), parity),
        job=None,
        gate=None,
        inputs=inputs_of(labelled.pixels, labelled.predictions, examined.preparation)
        if labelled
        else None,
        recipe={},
        data_set=_data_facts(source, labelled) if labelled else None,
        temperature=1.0,
        evaluation=labelled.evaluation if labelled else None,
        acceptance=None,
        non_digits=None,
        opset=examined.original.opset,
        parity=parity,
        left_out=left_out,
        measured_on=processor(),
        git_commit=git_commit(),
        libraries=library_versions(*libraries),
        files={},
    )


def _data_facts(source: Source, labelled: Labelled) -> DataFacts:
    assert source.images is not None
    return DataFacts(
        name=Path(source.images).resolve().name,
        source=source.images,
        train=0,
        validation=0,
        test=len(labelled.pixels),
    )


def _imported(
    source: Source,
    examined: Examined,
    labelled: Labelled | None,
    count: int,
    parity: dict[str, Parity],
) -> Imported:
    runtime = "ONNX Runtime" if source.builder is None else "PyTorch"
    difference = parity[card.ONNX].largest_difference
    given = f" and {count - DRAWN} given" if labelled else ""
    proven = [
        f"On {DRAWN} synthetic{given} images the logits differ from those of the original in "
        f"{runtime} by at most {difference:.1e}, in batches of several sizes.",
    ]
    kind = examined.preparation.kind
    unknown = ["Whether its images were prepared and scaled in the same way for its training."]
    if examined.is_constant:  # as networks with random weights may be
        unknown.append("Whether it was compared well: its logits hardly differ between images.")
    if examined.is_divided:
        unknown.append(
            "What its probabilities mean: its numbers do not sum to 1, they are divided by their "
            "sum."
        )
    if labelled:
        proven.append(
            f"Its accuracy and calibration on {len(labelled.labels):,} labelled images, prepared "
            f"as {kind}."
        )
        if card.INT8 in parity:
            apart, rest = part_for_calibration(labelled.pixels)
            proven.append(
                f"The accuracy of {card.INT8} on {len(rest):,} of them, which are not the "
                f"{len(apart):,} on which it was calibrated."
            )
        unknown.append(
            "Whether it was trained on some of the labelled images: its accuracy would be too high."
        )
    else:
        unknown = [
            "Its accuracy and calibration: no labelled images were given.",
            "Whether the labels are in the order of its classes.",
            *unknown,
        ]
    return Imported(
        file=source.file.name,
        sha256=facts_of(source.file).sha256,
        format="onnx" if source.builder is None else "torch",
        proven=tuple(proven),
        unknown=tuple(unknown),
    )
