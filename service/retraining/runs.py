"""Training runs in a folder of this machine, as the training writes them; only read.

    runs/<id>/run.json               data set, recipe and start: written first
              progress.jsonl         a line a second while it trains
              metrics.jsonl          a line an epoch
              training_metrics.json  evaluation and confusion matrix: written at its end

A run that is being written is read as far as it is whole. Paths of the machine are left out.
"""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import orjson
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from contract.jobs import JobId, Progress
from service.models.store_reader import public_document

FACTS, PROGRESS, EPOCHS = "run.json", "progress.jsonl", "metrics.jsonl"
METRICS, CHECKPOINT = "training_metrics.json", "checkpoint.pt"
LARGEST = 16 * 2**20  # bytes of a file that is read; of a longer list of lines only the last
MOST_POINTS = 1000  # of a curve; of more, every second one, every third one, ...
QUIET = 120.0  # seconds without progress after which a run counts as stopped
MOST_RUNS = 10_000  # folders that are looked at

_ID: TypeAdapter[str] = TypeAdapter(JobId)
Line = TypeVar("Line", bound=BaseModel)


class Epoch(BaseModel):
    """A line of metrics.jsonl."""

    epoch: int
    loss: float | None = None
    accuracy: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    learning_rate: float | None = None
    seconds: float | None = None


class RunSummary(BaseModel):
    id: str = Field(description="name of its folder; of a job's run, the id of the job")
    state: Literal["running", "completed", "stopped"] = Field(
        description="stopped: not completed, and without progress for two minutes"
    )
    began: datetime | None
    updated: datetime = Field(description="when the training last wrote to it")
    data: str | None = Field(description="name of the data set, or of its folder")
    network: str | None
    progress: Progress | None = Field(description="the last of the training")


class RunDetails(RunSummary):
    recipe: dict[str, Any]
    curve: list[Progress] = Field(description="at most 1,000 points, over the whole training")
    epochs: list[Epoch]
    metrics: dict[str, Any] | None = Field(
        description="training_metrics.json: evaluation, confusion_matrix, labels, ...; null until "
        "the training has ended"
    )


class ListedRuns(NamedTuple):
    runs: list[RunSummary]
    unreadable: int  # further ones


class _Data(BaseModel):
    source: str | None = None
    wanted: str | None = None


class _Recipe(BaseModel):
    network: str | None = None


class _Facts(BaseModel):
    """What is read of run.json."""

    data: _Data = _Data()
    recipe: _Recipe = _Recipe()
    began: datetime | None = None


class Runs:
    """Blocking: to be called on a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def newest(self, most: int) -> ListedRuns:
        """OSError if the folder cannot be read."""
        begun = []
        for number, path in enumerate(self._folder.iterdir()):
            if number == MOST_RUNS:
                break
            began = _modified(path / FACTS)
            if began is not None and _is_id(path.name):
                begun.append((began, path))
        begun.sort(reverse=True)
        summaries = []
        for _, path in begun[:most]:
            with suppress(OSError, ValueError):
                summaries.append(_summary(path))
        return ListedRuns(summaries, len(begun[:most]) - len(summaries))

    def run(self, run_id: str) -> RunDetails | None:
        """None if there is none with that id; OSError or ValueError if it cannot be read."""
        path = self._folder / run_id
        if not _is_id(run_id) or _modified(path / FACTS) is None:
            return None
        summary = _summary(path)
        metrics = _document(path / METRICS)
        return RunDetails(
            **summary.model_dump(),
            recipe=_document(path / FACTS).get("recipe", {}),
            curve=_lines(path / PROGRESS, Progress),
            epochs=_lines(path / EPOCHS, Epoch),
            metrics=metrics or None,
        )


def _is_id(name: str) -> bool:
    try:
        _ID.validate_python(name)
    except ValidationError:
        return False
    return True


def _modified(path: Path) -> float | None:
    """Seconds since the epoch; None if there is no such file."""
    try:
        return path.stat().st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return None


def _summary(path: Path) -> RunSummary:
    facts = _Facts.model_validate(_document(path / FACTS))
    written = [_modified(path / name) for name in (FACTS, PROGRESS, EPOCHS, CHECKPOINT)]
    updated = max(each for each in [*written, 0.0] if each is not None)
    state: Literal["running", "completed", "stopped"] = "completed"
    if written[-1] is None:
        quiet = datetime.now(UTC).timestamp() - updated > QUIET
        state = "stopped" if quiet else "running"
    source = facts.data.source or facts.data.wanted
    return RunSummary(
        id=path.name,
        state=state,
        began=facts.began,
        updated=datetime.fromtimestamp(updated, UTC),
        data=Path(source).name if source else None,
        network=facts.recipe.network,
        progress=_last(path / PROGRESS),
    )


def _document(path: Path) -> dict[str, Any]:
    """A JSON file without paths of the machine; empty if it is missing, not whole or too large."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        document = orjson.loads(public_document(content)) if len(content) <= LARGEST else {}
    except (FileNotFoundError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _lines(path: Path, kind: type[Line], longest: int = LARGEST) -> list[Line]:
    """At most MOST_POINTS of the lines in the last `longest` bytes of a file, and the last one."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - longest))
            lines = file.read(longest).split(b"\n")[:-1]  # without one that is not yet whole
    except FileNotFoundError:
        return []
    found = []
    step = -(-len(lines) // MOST_POINTS) or 1
    for line in lines[::-1][::step][::-1]:
        with suppress(ValidationError):  # the first may be cut off
            found.append(kind.model_validate_json(line))
    return found


def _last(path: Path) -> Progress | None:
    found = _lines(path, Progress, longest=4096)
    return found[-1] if found else None
