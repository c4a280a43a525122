"""Publish a run as a version: write every artifact, prove it, publish all of it or nothing."""

import contextlib
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from contract.card import SCHEMA, Acceptance, ModelCard, Parity, tensors
from contract.errors import StoreError
from contract.provenance import git_commit, library_versions, processor
from contract.store import Store
from contract.version import Version
from export import proof, runners
from export.artifacts import ARTIFACTS, OPSET, Source
from export.proof import Answers, LosesTooMuch, ProofFailed, discard_offending, save_offending
from export.runners import Graph, Pixels
from export.samples import write_golden, write_mistakes, write_samples
from export.threshold import acceptance
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
) -> Version:
    """Publish `run` as the next version of `store`, if its artifacts are proven equal to it.

    `artifacts` are keys of ARTIFACTS, in their order. Raises ProofFailed, BadRun, BadGraph, a
    StoreError or an OSError with nothing published, NotActivated, or NotConfirmed.
    """
    checkpoint = run.checkpoint()
    pixels, labels = run.test_set()
    calibration = run.calibration() if "int8" in artifacts else None
    graph = Graph(checkpoint.build(), checkpoint.temperature)
    source = Source(graph, calibration, opset)
    if activate:
        store.check_signer(sign)  # before the long proof
    with store.draft() as draft, _one_thread():
        reference = _reference(run, checkpoint, graph, pixels, labels)
        sure = _acceptance(run, graph, (reference, labels))
        write_golden(draft, pixels, labels, reference)
        parity: dict[str, Parity] = {}
        left_out = {
            each.file: "it was not requested"
            for name, each in ARTIFACTS.items()
            if name not in artifacts
        }
        for name in artifacts:
            artifact = ARTIFACTS[name]
            path = draft / artifact.file
            say(f"{path.name}: writing, and comparing with PyTorch on {len(pixels):,} pictures")
            artifact.write(source, path)
            try:
                parity[path.name] = proof.parity(
                    path.name, artifact.load(path), reference, pixels, labels, artifact.may_lose
                )
            except LosesTooMuch as reason:
                path.unlink()
                left_out[path.name] = str(reason)
            except ProofFailed as failure:
                raise _with_pictures(failure, run, reference, pixels, labels) from failure
        for file in run.report_files():
            shutil.copyfile(file, draft / file.name)
        write_samples(draft, pixels, labels, checkpoint.labels)
        write_mistakes(draft, pixels, labels, checkpoint.labels, reference)
        card = _card(run, checkpoint, graph, store.folder.name, opset, sure, parity, left_out)
        version = store.publish(draft, card, sign)
    discard_offending(run.folder)  # of an earlier try
    if activate:
        try:
            store.activate(version.number)
        except (OSError, StoreError) as error:
            raise NotActivated(f"{version.folder} is published but not current: {error}") from error
        except KeyboardInterrupt as error:
            advice = "python -m contract list shows whether it is current"
            raise NotActivated(f"stopped; {version.folder} is published, {advice}") from error
    return version


def say(line: str) -> None:
    print(line, file=sys.stderr)


def _reference(
    run: Run, checkpoint: Checkpoint, graph: Graph, pixels: Pixels, labels: NDArray[np.uint8]
) -> Answers:
    """PyTorch's own answers, if they are those that the run was judged by."""
    reference = proof.answers_of(runners.pytorch(graph), pixels)
    found = float((reference.digits == labels).mean())
    if abs(found - checkpoint.evaluation.accuracy) > 0.5 / len(labels):
        raise ProofFailed(
            f"PyTorch gets {found:.4%} of {run.folder}'s test set right, the checkpoint says "
            f"{checkpoint.evaluation.accuracy:.4%}: the two files are of different runs"
        )
    return reference


def _acceptance(
    run: Run, graph: Graph, test: tuple[Answers, NDArray[np.uint8]]
) -> Acceptance | None:
    """Determined from PyTorch's predictions, which the artifacts reproduce."""
    kept = run.validation_set()
    if kept is None:
        return None
    pixels, labels = kept
    return acceptance((proof.answers_of(runners.pytorch(graph), pixels), labels), test)


def _with_pictures(
    failure: ProofFailed,
    run: Run,
    reference: Answers,
    pixels: Pixels,
    labels: NDArray[np.uint8],
) -> ProofFailed:
    """The failure, with the folder of its images."""
    try:
        folder = save_offending(run.folder, failure, reference, pixels, labels)
    except OSError as error:  # the failure itself is what matters
        return ProofFailed(f"{failure}; its pictures could not be saved: {error}")
    return ProofFailed(f"{failure}; its pictures and logits are in {folder}")


def _card(
    run: Run,
    checkpoint: Checkpoint,
    graph: Graph,
    name: str,
    opset: int,
    sure: Acceptance | None,
    parity: dict[str, Parity],
    left_out: dict[str, str],
) -> ModelCard:
    graph_input, graph_outputs = tensors(len(checkpoint.labels))
    return ModelCard(
        schema_version=SCHEMA,
        name=name,
        created=datetime.now(UTC),
        labels=checkpoint.labels,
        input=graph_input,
        outputs=graph_outputs,
        network=checkpoint.network,
        parameters=parameters_of(graph),
        run=run.id,
        recipe={**checkpoint.recipe},
        data_set=checkpoint.data_set,
        temperature=checkpoint.temperature,
        evaluation=checkpoint.evaluation,
        acceptance=sure,
        opset=opset,
        parity=parity,
        left_out=left_out,
        measured_on=processor(),
        git_commit=git_commit(),
        libraries=checkpoint.libraries | library_versions("onnx", "onnxscript", "onnxruntime"),
        files={},
    )


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """PyTorch on one thread, as its artifacts are timed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
