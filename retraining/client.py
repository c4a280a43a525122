"""What a person at a terminal does with jobs: submit, list, cancel, resume, approve, recover.

The service has routes for the same. Each call connects to the database and raises DatabaseError
within seconds if it cannot be used.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer, WorkflowStatus
from dbos import error as dbos_errors
from dbos._serialization import DefaultSerializer
from pydantic import ValidationError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from contract.jobs import (
    APPLICATION,
    DECISION,
    DECISIONS,
    FINAL,
    JOB,
    QUEUE,
    WORKFLOW,
    Decision,
    Job,
    Request,
    decision_of,
    seen,
)
from retraining.settings import Settings

# Of the statuses of DBOS.
WAITING = ["ENQUEUED", "DELAYED"]
DONE = {*FINAL, "awaiting_approval"}  # states in which a job no longer runs


class DatabaseError(Exception):
    """The database cannot be used; the message says why, without a password."""


class NoJob(Exception):
    """There is no job with that id."""


class Refused(Exception):
    """The job is in a state in which that cannot be done, or too many jobs wait."""


class Jobs:
    """What a person at a terminal does with jobs; the service has routes for the same."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def submit(self, job_id: str, request: Request) -> Job:
        """Refused if too many jobs wait, or if the id has another request."""
        with connected(self._settings, create=True) as client:
            waiting = client.list_workflows(name=WORKFLOW, status=WAITING, load_input=False)
            if len(waiting) >= self._settings.max_waiting:
                raise Refused(
                    f"as many jobs wait as may (DIGITSERVE_MAX_JOBS: {self._settings.max_waiting}):"
                    " cancel some, or start a worker"
                )
            _enqueue(client, QUEUE, WORKFLOW, job_id, job_id, request.model_dump(mode="json"))
            job = self._job(client, job_id)
        if job.request != request:
            raise Refused(f"there is a job {job_id} with another request")
        return job

    def listed(self, most: int = 50) -> list[Job]:
        """Newest first."""
        with connected(self._settings) as client:
            found = client.list_workflows(name=WORKFLOW, sort_desc=True, limit=most)
            return [self._seen(client, each) for each in found]

    def job(self, job_id: str) -> Job:
        with connected(self._settings) as client:
            return self._job(client, job_id)

    def cancel(self, job_id: str) -> Job:
        with connected(self._settings) as client:
            job = self._job(client, job_id)
            if job.state in DONE - {"cancelled"}:
                raise Refused(f"{job_id} is {words(job.state)}, so it cannot be cancelled")
            client.cancel_workflow(job_id)
            return self._job(client, job_id)

    def resume(self, job_id: str) -> Job:
        with connected(self._settings) as client:
            job = self._job(client, job_id)
            if job.state == "cancelled":
                client.resume_workflow(job_id, queue_name=QUEUE)
            elif job.state == "failed":
                client.rewind_workflow(job_id, queue_name=QUEUE)
            else:
                raise Refused(f"{job_id} is {words(job.state)}, so it cannot be resumed")
            return self._job(client, job_id)

    def decide(self, job_id: str, decision: Decision, by: str) -> Job:
        with connected(self._settings) as client:
            job = self._job(client, job_id)
            if job.state != "awaiting_approval":
                raise Refused(f"{job_id} is {words(job.state)} and does not await approval")
            _enqueue(client, DECISIONS, DECISION, decision_of(job_id), job_id, decision, by)
            return job

    def recover(self, worker: str) -> list[str]:
        """Have other workers run the jobs of one that never comes back; their ids."""
        with connected(self._settings) as client:
            return recovered(client, worker)

    def _job(self, client: DBOSClient, job_id: str) -> Job:
        found = client.list_workflows(workflow_ids=[job_id])
        if not found or found[0].name != WORKFLOW:
            raise NoJob(f"there is no job {job_id}: python -m retraining list names all")
        return self._seen(client, found[0])

    def _seen(self, client: DBOSClient, status: WorkflowStatus) -> Job:
        written = client.get_event(status.workflow_id, JOB, timeout_seconds=0)
        if written is None:
            assert status.input is not None
            job = Job(
                id=status.workflow_id,
                state="queued",
                request=Request.model_validate(status.input["args"][1]),
                model=self._settings.model,
                created=time_of(status.created_at),
            )
        else:
            job = Job.model_validate(written)
        job = seen(job, status.status)
        if job.state == "awaiting_approval":
            decided = client.get_event(decision_of(job.id), JOB, timeout_seconds=0)
            job = job if decided is None else Job.model_validate(decided)
        return job


def words(state: str) -> str:
    """A state as text."""
    return state.replace("_", " ")


def shown(url: str) -> str:
    """The URL of a database without its password."""
    return make_url(url).render_as_string(hide_password=True)


def refuse_pickles() -> None:
    """A row may say that it is pickled: reading it would run code of whoever wrote it."""

    def refuse(*_: Any) -> None:
        raise ValueError("the database holds a pickled value, which is not read")

    DefaultSerializer.deserialize = refuse  # type: ignore[assignment, method-assign]


@contextmanager
def connected(settings: Settings, *, create: bool = False) -> Iterator[DBOSClient]:
    """DatabaseError if it cannot be used; with `create`, its tables are created first."""
    logging.getLogger("dbos").setLevel(logging.CRITICAL)  # what fails is raised
    refuse_pickles()
    with errors_of(settings.jobs):
        check_file(settings.jobs, create=create)
        if create:
            DBOS.migrate(settings.jobs)
        client = DBOSClient(
            system_database_url=settings.jobs,
            serializer=DBOSPortableJSONSerializer(),
            application_name=APPLICATION,
            retry_connection_errors=False,
        )
        try:
            yield client
        finally:
            client.destroy()


@contextmanager
def errors_of(url: str) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, ArgumentError, dbos_errors.DBOSException) as error:
        raise DatabaseError(f"{shown(url)} cannot be used: {short(error)}") from error
    except ValidationError as error:
        raise DatabaseError(f"{shown(url)} has a job of another version of digitserve") from error


def check_file(url: str, *, create: bool) -> None:
    """A missing SQLite file would be created, empty; its folder would not."""
    path = file_of(url)
    if path is None:
        return
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
    elif not path.exists():
        raise DatabaseError(f"{path} does not exist: no job was submitted yet")


def file_of(url: str) -> Path | None:
    """That of SQLite; None: the database is not a file."""
    return Path(make_url(url).database or "") if url.startswith("sqlite:") else None


def _enqueue(
    client: DBOSClient, queue: str, workflow: str, workflow_id: str, *arguments: Any
) -> None:
    """Twice is once."""
    client.enqueue(
        {"workflow_name": workflow, "queue_name": queue, "workflow_id": workflow_id}, *arguments
    )


def recovered(client: DBOSClient, worker: str) -> list[str]:
    found = client.list_workflows(status="PENDING", executor_id=worker, load_input=False)
    for each in found:
        queue = QUEUE if each.name == WORKFLOW else DECISIONS
        client.resume_workflow(each.workflow_id, queue_name=queue)
    return [each.workflow_id for each in found]


def time_of(milliseconds: int | None) -> datetime:
    return datetime.fromtimestamp((milliseconds or time.time() * 1000) / 1000, UTC)


def short(error: Exception) -> str:
    """The first line of the driver's message: statements and parameters follow it."""
    message = str(getattr(error, "orig", None) or error).strip()
    return message.splitlines()[0] if message else type(error).__name__
