"""Publishes a run as a version: write every artifact, prove it, publish all of it or nothing."""

import contextlib
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from contract import activation
from contract.card import SCHEMA, Evaluation, ModelCard, NonDigits, Parity, tensors
from contract.errors import StoreError, WorseVersion
from contract.provenance import git_commit, library_versions, processor
from contract.settings import contract_command
from contract.store import Store
from contract.version import Version
from export import judging, runners
from export.artifacts import ARTIFACTS, OPSET, Source
from export.inputs import inputs_of
from export.judged_images import RunImages
from export.proof import (
    LosesTooMuch,
    Predictions,
    ProofFailed,
    discard_failure,
    latency,
    predictions_of,
    prove,
    save_failure,
)
from export.reading import as_served
from export.runners import Graph, Labels, Pixels
from export.samples import write_golden, write_mistakes, write_samples
from export.threshold import acceptance, non_digits_of
from training.evaluate import Judged
from training.model import parameters_of
from training.run import Checkpoint, Run

if TYPE_CHECKING:
    from contract.signature import Sign


class NotActivated(Exception):
    """A version was published but is not the current one."""


def export(
    run: Run,
    store: Store,
    *,
    artifacts: tuple[str, ...] = tuple(ARTIFACTS),
    opset: int = OPSET,
    sign: "Sign | None" = None,
    activate: bool = True,
    judge: bool = False,
    job: str | None = None,
) -> Version:
    """Publish `run` as the next version of `store`, if its artifacts are proven equal to it.

    `artifacts` are keys of ARTIFACTS, in that order. With `judge` it is compared with the current
    version. If the retraining job `job` has published a version already, that is returned instead,
    unless it was compared with another version than the current one. Raises ProofFailed, BadRun,
    BadGraph, a StoreError or an OSError if nothing was published; NotActivated or NotConfirmed
    otherwise.
    """
    version = activation.published_by(job, store, judged=judge) if job else None
    if version is None:
        if activate:
            store.check_signer(sign)  # before the proof, which takes long
        version = _published(run, store, artifacts, opset, sign, judge, job)
    if activate:
        make_current(store, version)
    return version


def _published(
    run: Run,
    store: Store,
    artifacts: tuple[str, ...],
    opset: int,
    sign: "Sign | None",
    judge: bool,
    job: str | None,
) -> Version:
    checkpoint = run.checkpoint()
    stored, labels = run.test_set()
    graph = Graph(checkpoint.build(), checkpoint.temperature)
    calibration = run.calibration() if "int8" in artifacts else None
    source = Source(graph, calibration, opset, checkpoint.shape)
    with store.draft() as draft, one_thread():
        pytorch = runners.pytorch(graph)
        reference, evaluation = predictions_of(pytorch, stored), checkpoint.evaluation
        _check_reference(run, checkpoint, reference, labels)
        pixels = as_served(stored, checkpoint.preparation)
        if pixels is not stored:
            reference = predictions_of(pytorch, pixels)
            evaluation = evaluation_of(
                reference, labels, checkpoint.labels, temperature=checkpoint.temperature
            )
        validation = run.validation_set()
        on_validation = validation and (predictions_of(pytorch, validation[0]), validation[1])
        write_golden(draft, pixels, labels, reference)
        parity, left_out = _artifacts(run, draft, source, artifacts, pixels, labels, reference)
        for file in run.report_files():
            shutil.copyfile(file, draft / file.name)
        write_samples(draft, pixels, labels, checkpoint.labels, checkpoint.prepare)
        write_mistakes(draft, pixels, labels, checkpoint.labels, reference)
        card = _card(
            run,
            checkpoint,
            name=store.folder.name,
            parameters=parameters_of(graph),
            evaluation=evaluation,
            acceptance=acceptance(on_validation, (reference, labels)),
            non_digits=_non_digits(run, pytorch, on_validation and on_validation[0], reference),
            inputs=inputs_of(pixels, reference, checkpoint.preparation),
            opset=opset,
            parity=parity,
            left_out=left_out,
            job=job,
        )
        if judge:
            log("Comparing with the current version")
            images = RunImages.of(run, (pixels, labels), stored)
            gate = judging.judge(draft, card, store, images, run.folder.parent)
            card = card.model_copy(update={"gate": gate})
        version = store.publish(draft, card, sign)
    discard_failure(run.folder)  # of an earlier export
    return version


def _non_digits(
    run: Run, pytorch: runners.Model, validation: Predictions | None, test: Predictions
) -> NonDigits | None:
    """Their threshold, from the predictions for digits; None if the run has no such images."""
    images = run.non_digits()
    if images is None or validation is None:
        return None
    for_choice, for_measuring = (predictions_of(pytorch, pixels) for pixels in images)
    return non_digits_of((validation, for_choice), (test, for_measuring))


def _artifacts(
    run: Run,
    draft: Path,
    source: Source,
    requested: tuple[str, ...],
    pixels: Pixels,
    labels: Labels,
    reference: Predictions,
) -> tuple[dict[str, Parity], dict[str, str]]:
    """Write and prove the artifacts; returns their proofs, and the reasons of those left out."""
    parity: dict[str, Parity] = {}
    others = (each.file for name, each in ARTIFACTS.items() if name not in requested)
    left_out = dict.fromkeys(others, "it was not requested")
    for name in requested:
        artifact = ARTIFACTS[name]
        path = draft / artifact.file
        log(f"{path.name}: writing, and comparing with PyTorch on {len(pixels):,} images")
        artifact.write(source, path)
        model = artifact.load(path)
        predictions = predictions_of(model, pixels)
        try:
            measured = prove(path.name, predictions, reference, labels, may_lose=artifact.may_lose)
        except LosesTooMuch as reason:
            path.unlink()
            left_out[path.name] = str(reason)
            continue
        except ProofFailed as failure:
            raise save_failure(run.folder, failure, reference, pixels, labels) from failure
        parity[path.name] = Parity(
            **measured,
            seconds_1=latency(model, 1, source.shape),
            seconds_64=latency(model, 64, source.shape),
        )
    return parity, left_out


def evaluation_of(
    predictions: Predictions, labels: Labels, names: tuple[str, ...], *, temperature: float
) -> Evaluation:
    """Accuracy and calibration of predictions whose logits are divided by the temperature."""
    logits = torch.from_numpy(predictions.logits) * temperature
    classes = torch.from_numpy(labels.astype(np.int64))
    return Judged(logits, classes, temperature, names).evaluation()


def log(line: str) -> None:
    print(line, file=sys.stderr)


def make_current(store: Store, version: Version) -> None:
    """Raises NotActivated if it stays as it is, also because the version is worse."""
    place = f"{store.place}/{version.number}"
    try:
        for warning in activation.activate(store, version.number).warnings:
            log(f"Warning: {warning}")
    except WorseVersion as error:
        command = contract_command(f"activate {version.number} --force")
        advice = f"{command} makes it current"
        raise NotActivated(f"{place} is published but not current: {error} {advice}") from error
    except (OSError, StoreError) as error:
        raise NotActivated(f"{place} is published but not current: {error}") from error
    except KeyboardInterrupt as error:
        advice = f"{contract_command('list')} shows whether it is current"
        raise NotActivated(f"stopped; {place} is published, {advice}") from error


def _check_reference(
    run: Run, checkpoint: Checkpoint, reference: Predictions, labels: Labels
) -> None:
    """ProofFailed unless PyTorch has the accuracy that the training measured."""
    found, expected = float((reference.classes == labels).mean()), checkpoint.evaluation.accuracy
    if abs(found - expected) > 0.5 / len(labels):
        raise ProofFailed(
            f"PyTorch's accuracy on {run.folder}'s test set is {found:.4%}, the checkpoint's is "
            f"{expected:.4%}: the two files are of different runs"
        )


def _card(run: Run, checkpoint: Checkpoint, **measured: Any) -> ModelCard:
    graph_input, graph_outputs = tensors(len(checkpoint.labels), checkpoint.shape)
    return ModelCard(
        schema_version=SCHEMA,
        created=datetime.now(UTC),
        labels=checkpoint.labels,
        input=graph_input,
        outputs=graph_outputs,
        preparation=checkpoint.preparation,
        imported=None,
        gate=None,
        network=checkpoint.network,
        run=run.id,
        recipe={**checkpoint.recipe},
        data_set=checkpoint.data_set,
        temperature=checkpoint.temperature,
        measured_on=processor(),
        git_commit=git_commit(),
        libraries=checkpoint.libraries | library_versions("onnx", "onnxscript", "onnxruntime"),
        files={},
        **measured,
    )


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch on one thread, as its artifacts are measured."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
