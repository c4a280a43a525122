"""Jobs in words: a line of each for lists, and all that is known of one."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from contract import report
from contract.jobs import Job, Progress, Request
from contract.programs import LOG


def row(job: Job) -> str:
    parts = [job.id, f"{_state(job):17}"]
    if job.state == "training" and job.progress:
        now = job.progress
        parts.append(f"epoch {now.epoch}/{now.epochs}, loss {now.loss:.4f}, {now.accuracy:.2%}")
    if job.version is not None:
        parts.append(f"version {job.version}")
    if job.gate:
        parts.append(f"{job.gate.verdict} (gained {job.gate.gained}, lost {job.gate.lost})")
    if job.reason:
        parts.append(job.reason)
    return "  ".join(parts).rstrip()


def details(job: Job, runs: Path) -> str:
    """Lines of name and value, and the checks of the gate; `runs` is the worker's folder."""
    return "\n".join(f"{name:11}{value}" for name, value in _facts(job, runs)) + (
        f"\n\n{report.gate(job.gate)}" if job.gate else ""
    )


def _facts(job: Job, runs: Path) -> Iterator[tuple[str, object]]:
    yield "job", job.id
    yield "state", _state(job) + (", can be resumed" if job.resumable else "")
    if job.reason:
        yield "reason", job.reason
    yield "model", job.model
    yield "request", _requested(job.request)
    for name, time in (("created", job.created), ("started", job.started), ("ended", job.ended)):
        if time:
            yield name, _time(time)
    if job.started and job.ended:
        yield "duration", f"{(job.ended - job.started).total_seconds():,.0f} s"
    if job.worker:
        yield "worker", job.worker
    if job.run:
        yield "log", f"{runs / job.run / LOG}, on the worker"
    if job.progress:
        yield "training", _trained(job.progress)
    if job.version is not None:
        yield "version", job.version
    if job.parent is not None:
        yield "compared", f"with version {job.parent}"


def _state(job: Job) -> str:
    return job.state.replace("_", " ")


def _requested(request: Request) -> str:
    options = [f"{name}={value}" for name, value in request.recipe.items()]
    data = f"data {request.data}" if request.data else "the data of the current version"
    corrections = "with corrections" if request.corrections else "without corrections"
    activate = f"activate {request.activate}"
    return ", ".join([f"preset {request.preset}", *options, data, corrections, activate])


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _trained(progress: Progress) -> str:
    text = f"epoch {progress.epoch} of {progress.epochs}, loss {progress.loss:.4f}"
    if progress.validation_accuracy is not None:
        text += f", {progress.validation_accuracy:.2%} of the validation images"
    return f"{text}, after {progress.seconds:,.0f} s"
