"""Turn a training run into a model version: python -m export [--run DIR] [--name NAME]

Writes model.onnx and model.ts, proves on the whole test set that both answer as PyTorch does, and
only then publishes them as the next version under models/<name>/ and makes it the current one.
"""

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from datetime import UTC, datetime
from pathlib import Path

from contract.card import ONNX, SAMPLE, TORCHSCRIPT, ModelCard, Parity, tensors
from contract.provenance import git_commit, library_versions
from contract.store import BadName, BrokenVersion, Store, Version
from export import proof
from export.artifacts import write_onnx, write_sample, write_torchscript
from export.graph import Graph
from export.proof import ProofFailed
from training.model import parameters_of
from training.run import BadRun, Checkpoint, Run


def main(words: list[str] | None = None) -> int:
    arguments = _parser().parse_args(words)
    try:
        run = Run(arguments.run) if arguments.run else Run.latest(arguments.runs)
        version = export(run, Store(arguments.models, arguments.name))
    except (BadRun, BadName, BrokenVersion, ProofFailed, OSError) as error:
        print(f"export: {error}. Nothing was published.", file=sys.stderr)
        return 1
    except NotActivated as error:
        print(f"export: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("export: stopped, nothing was published", file=sys.stderr)
        return 130
    _report(version)
    return 0


class NotActivated(Exception):
    """A version was published but is not the current one."""


def export(run: Run, store: Store) -> Version:
    """Publish `run` as the current version of `store`, if its artifacts are proven equal to it."""
    checkpoint = run.checkpoint()
    pixels, labels = run.test_set()
    graph = Graph(checkpoint.build(), checkpoint.temperature)
    _say(f"Exporting {run.folder} to ONNX and TorchScript")
    with store.draft() as draft:
        write_onnx(graph, draft / ONNX)
        write_torchscript(graph, draft / TORCHSCRIPT)
        write_sample(pixels[0], draft / SAMPLE)
        _say(f"Comparing both with PyTorch on {len(pixels):,} test pictures")
        reference = proof.answers_of(proof.pytorch(graph), pixels)
        found = float((reference.digits == labels).mean())
        if abs(found - checkpoint.evaluation.accuracy) > 0.5 / len(labels):
            raise ProofFailed(
                f"PyTorch gets {found:.4%} of {run.folder}'s test set right, the checkpoint says "
                f"{checkpoint.evaluation.accuracy:.4%}: the two files are of different runs"
            )
        parity = {
            name: proof.prove(name, proof.answers_of(model, pixels), reference, labels)
            for name, model in (
                (ONNX, proof.onnx_runtime(draft / ONNX)),
                (TORCHSCRIPT, proof.torchscript(draft / TORCHSCRIPT)),
            )
        }
        version = store.publish(draft, _card(run, checkpoint, graph, store.folder.name, parity))
    try:
        store.activate(version.number)
    except OSError as error:
        raise NotActivated(f"{version.folder} is published but not current: {error}") from error
    return version


def _card(
    run: Run, checkpoint: Checkpoint, graph: Graph, name: str, parity: dict[str, Parity]
) -> ModelCard:
    graph_input, graph_outputs = tensors(len(checkpoint.labels))
    return ModelCard(
        schema_version=1,
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
        parity=parity,
        git_commit=git_commit(),
        libraries=checkpoint.libraries | library_versions("onnx", "onnxscript", "onnxruntime"),
        files={},
    )


def _report(version: Version) -> None:
    for name, parity in version.card.parity.items():
        _say(
            f"  {name:11} {version.card.files[name].size:>8,} bytes, {parity.accuracy:.2%} right, "
            f"same answers, largest difference in a logit {parity.largest_difference:.1e}"
        )
    _say(f"Published {version.folder}, which is now the current version")


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        "python -m export", description=__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, metavar="DIR", help="default: the one in runs/latest")
    parser.add_argument("--runs", type=Path, metavar="DIR", default=Path("runs"))
    parser.add_argument("--models", type=Path, metavar="DIR", default=Path("models"))
    parser.add_argument("--name", default="digits", help="of the model; default: digits")
    return parser


if __name__ == "__main__":
    sys.exit(main())
