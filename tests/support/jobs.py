"""A worker that retrains nothing: DBOS itself, with workflows that do as the test says."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSPortableJSONSerializer

from contract.card import Gate
from contract.jobs import (
    APPLICATION,
    DECISION,
    DECISIONS,
    EVENTS,
    JOB,
    QUEUE,
    WORKFLOW,
    Event,
    Job,
    Progress,
    Request,
    State,
)

STEP = 0.02  # seconds
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


class ScriptedWorker:
    """Its jobs train until `ends` has their id, then wait for approval, or are kept or activated.

    It runs in this process; `url` is that of the database.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.ends: set[str] = set()
        self.version = 1  # that jobs say they have published
        self.gate: Gate | None = None  # of that version
        self.stops = False  # every job ends
        self.lines: list[str] = []  # of the log, which a job writes at its start
        self.steps = 1  # lines of progress that a job writes; one that runs writes further ones


def progress(step: int) -> Progress:
    return Progress(
        epoch=step,
        epochs=5,
        within=1,
        loss=1 / step,
        accuracy=0.9,
        learning_rate=0.01,
        images_per_second=1000,
        seconds=step,
    )


@contextmanager
def worker_of(folder: Path) -> Iterator[ScriptedWorker]:
    """A worker with a SQLite database in that folder."""
    worker = ScriptedWorker(f"sqlite:///{folder / 'jobs.sqlite'}")
    DBOS(
        config={
            "name": APPLICATION,
            "system_database_url": worker.url,
            "serializer": DBOSPortableJSONSerializer(),
            "application_version": "1",
            "executor_id": "scripted",
        }
    )

    logging.getLogger("dbos").setLevel(logging.CRITICAL)

    def write(job: Job, state: State, **changes: Any) -> Job:
        job = job.model_copy(update={"state": state, **changes})
        DBOS.set_event(JOB, job.model_dump(mode="json"))
        emit("job", job.model_dump(mode="json"))
        return job

    def emit(kind: Any, data: dict[str, Any]) -> None:
        event = Event(kind=kind, at=NOW, data=data)
        DBOS.write_stream(EVENTS, event.model_dump(mode="json"))

    @DBOS.workflow(name=WORKFLOW)
    def retrain(job_id: str, request: dict[str, Any]) -> None:
        wanted = Request.model_validate(request)
        job = Job(id=job_id, state="queued", request=wanted, model="digits", created=NOW)
        job = write(job, "training", started=NOW, worker="scripted", run=job_id)
        for line in worker.lines:
            emit("log", {"line": line})
        written = 0
        while written < worker.steps or not (job_id in worker.ends or worker.stops):
            if written < worker.steps:
                written += 1
                emit("progress", progress(written).model_dump(mode="json"))
            else:
                DBOS.sleep(STEP)
        end: State = "kept"
        if wanted.activate != "never":
            end = "activated" if wanted.activate == "if_better" else "awaiting_approval"
        write(job, end, version=worker.version, parent=1, gate=worker.gate, ended=NOW)

    @DBOS.workflow(name=DECISION)
    def decide(job_id: str, decision: str, by: str) -> None:
        given = DBOS.get_event(job_id, JOB)
        write(
            Job.model_validate(given),
            "activated" if decision == "approve" else "rejected",
            reason=f"{decision} by {by}",
        )

    DBOS.launch()
    DBOS.register_queue(QUEUE, global_concurrency=1, polling_interval_sec=STEP)
    DBOS.register_queue(DECISIONS, polling_interval_sec=STEP)
    try:
        yield worker
    finally:
        worker.stops = True
        DBOS.destroy(workflow_completion_timeout_sec=5, destroy_registry=True)
