"""Jobs in the database that the service shares with the retraining worker: the only user of DBOS.

DBOS is an optional group of packages, imported only if DIGITSERVE_JOBS is set. The service never
runs a workflow: it enqueues them, and reads what they have written. Calls block: see `jobs`.

The database may be locked, full, gone or not yet set up: each call then raises DatabaseUnavailable
within seconds, where DBOS by itself would retry for ever.
"""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import sqlalchemy
from dbos import DBOSClient, DBOSPortableJSONSerializer, WorkflowStatus, error
from dbos._serialization import DefaultSerializer
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import DisconnectionError, IntegrityError
from sqlalchemy.pool import ConnectionPoolEntry

from contract.jobs import (
    DECISION,
    DECISIONS,
    EVENTS,
    FINAL,
    JOB,
    QUEUE,
    WORKFLOW,
    Decision,
    Event,
    Job,
    Request,
    decision_of,
    seen,
)
from service.retraining.interface import (
    BEFORE_DECISION,
    RUNNING,
    DatabaseUnavailable,
    Found,
    Listed,
    NoJob,
    Place,
    Taken,
    TooManyJobs,
    WrongState,
)

BUSY = 2.0  # seconds that a statement waits for a lock, and a connection for its server
STATEMENT = 4000  # milliseconds that a statement in Postgres may take
MOST_EVENTS = 500  # that are read at a time
WAITING = ["ENQUEUED", "DELAYED"]  # of the statuses of DBOS


class JobsClient:
    """Used by one thread at a time."""

    def __init__(self, url: str, model: str) -> None:
        """`url` begins with sqlite:/// or postgresql://. Connects with the first call."""
        logging.getLogger("dbos").setLevel(logging.CRITICAL)  # what fails is raised
        # A row may say that it is pickled: reading it would run code of whoever wrote it.
        DefaultSerializer.deserialize = _refuse_pickle  # type: ignore[method-assign, assignment]
        self._model = model
        self._engine = _engine(make_url(url))
        self._client = DBOSClient(
            system_database_engine=self._engine,
            serializer=DBOSPortableJSONSerializer(),
            lazy=True,
            retry_connection_errors=False,
            observability_query_timeout_sec=STATEMENT / 1000,
        )

    def close(self) -> None:
        self._client.destroy()
        self._engine.dispose()

    def submit(self, job_id: str, request: Request, most_waiting: int) -> tuple[Job, bool]:
        """Enqueue a job; returns it, and whether it is new.

        Raises Taken if the id has another request, TooManyJobs if `most_waiting` jobs wait.
        """
        arguments = (job_id, request.model_dump(mode="json"))
        if self._status(job_id) is None:
            if self._waiting(most_waiting) >= most_waiting:
                raise TooManyJobs
            if self._enqueue(WORKFLOW, QUEUE, job_id, *arguments):
                return self.job(job_id), True
        job = self.job(job_id)
        if job.request != request:
            raise Taken
        return job, False

    def jobs(self, most: int) -> Listed:
        found = self._client.list_workflows(
            name=WORKFLOW, limit=most, sort_desc=True, load_output=False
        )
        jobs = []
        for each in found:
            try:
                jobs.append(self._observed(each))
            except ValueError:
                continue
        return Listed(jobs, len(found) - len(jobs))

    def job(self, job_id: str) -> Job:
        """Raises NoJob."""
        status = self._status(job_id)
        if status is None or status.name != WORKFLOW:
            raise NoJob
        return self._observed(status)

    def cancel(self, job_id: str) -> Job:
        """Raises WrongState if it has ended in another way."""
        self._check(job_id, lambda job: job.state in RUNNING or job.state == "cancelled")
        self._client.cancel_workflow(job_id)
        return self._check(job_id, lambda job: job.state == "cancelled")

    def resume(self, job_id: str) -> Job:
        """Raises WrongState if it is not resumable; a job that waits or runs goes on."""
        job = self._check(job_id, lambda job: job.resumable or job.state in RUNNING)
        if job.resumable and job.state == "cancelled":
            self._client.resume_workflow(job_id, queue_name=QUEUE)
        elif job.resumable:
            with suppress(error.DBOSException):  # another request has rewound it
                self._client.rewind_workflow(job_id, queue_name=QUEUE)
        return self.job(job_id)

    def decide(self, job_id: str, decision: Decision, by: str) -> Job:
        """Have the version activated, or not. Raises WrongState unless it awaits that.

        Raises Taken if the other decision was made already; the same one again changes nothing.
        """
        job = self.job(job_id)
        decided = self._status(decision_of(job_id))
        if decided is None:
            if job.state != "awaiting_approval":
                raise WrongState(job)
            self._enqueue(DECISION, DECISIONS, decision_of(job_id), job_id, decision, by)
            decided = self._status(decision_of(job_id))
        if decided is None or _arguments(decided)[1] != decision:
            raise Taken
        return self.job(job_id)

    def events(self, job_id: str, since: Place) -> Found:
        """At most MOST_EVENTS after that place; if there are none, the job. Raises NoJob.

        From the first one again if there are fewer than the place says: a job that is resumed after
        a failure begins its stream anew.
        """
        if events := self._stream(job_id, since.job):
            return Found([(Place(since.job + n), event) for n, event in enumerate(events, 1)])
        if since.job and not self._stream(job_id, since.job - 1, 1):
            return self.events(job_id, Place())
        job = self.job(job_id)
        if job.state in BEFORE_DECISION:
            return Found([], job)
        # It may have written more before it ended; those of the decision come after all of them.
        if events := self._stream(job_id, since.job):
            return Found([(Place(since.job + n), event) for n, event in enumerate(events, 1)])
        done = since.decision
        events = self._stream(decision_of(job_id), done)
        return Found(
            [(Place(since.job, done + n), event) for n, event in enumerate(events, 1)],
            None if events else job,
        )

    # ---- what DBOS has ------------------------------------------------------------------------

    def _status(self, workflow_id: str) -> WorkflowStatus | None:
        found = self._client.list_workflows(workflow_ids=[workflow_id], load_output=False)
        return found[0] if found else None

    def _waiting(self, most: int) -> int:
        return len(
            self._client.list_workflows(
                name=WORKFLOW, status=WAITING, limit=most, load_input=False, load_output=False
            )
        )

    def _enqueue(self, workflow: str, queue: str, workflow_id: str, *arguments: Any) -> bool:
        """Whether it was enqueued: no other request took the id meanwhile."""
        try:
            self._client.enqueue(
                {
                    "workflow_name": workflow,
                    "queue_name": queue,
                    "workflow_id": workflow_id,
                    "workflow_id_reuse_policy": "reject",
                },
                *arguments,
            )
        except error.DBOSWorkflowIDInUseError:
            return False
        return True

    def _stream(self, workflow_id: str, offset: int, most: int = MOST_EVENTS) -> list[Event]:
        events: list[Event] = []
        # Raised where there are no more yet.
        with suppress(error.DBOSStreamTimeoutError, error.DBOSNonExistentWorkflowError):
            for each in self._client.read_stream(
                workflow_id, EVENTS, offset=offset, timeout_seconds=0
            ):
                events.append(Event.model_validate(each))
                if len(events) == most:
                    break
        return events

    def _written(self, workflow_id: str) -> Job | None:
        """The job as that workflow wrote it last."""
        written = self._client.get_event(workflow_id, JOB, timeout_seconds=0)
        return None if written is None else Job.model_validate(written)

    def _observed(self, status: WorkflowStatus) -> Job:
        """ValueError if it was written by another version of the worker."""
        job = self._written(status.workflow_id) or Job(
            id=status.workflow_id,
            state="queued",
            request=Request.model_validate(_arguments(status)[1]),
            model=self._model,
            created=_time(status.created_at or 0),
        )
        job = seen(job, status.status)
        if job.state == "awaiting_approval":
            job = self._after_decision(job)
        if job.state in FINAL and job.ended is None and status.completed_at:
            job = job.model_copy(update={"ended": _time(status.completed_at)})
        return job

    def _after_decision(self, job: Job) -> Job:
        decided = self._status(decision_of(job.id))
        if decided is None:
            return job
        written = self._written(decided.workflow_id)
        if decided.status in (*WAITING, "PENDING", "SUCCESS"):
            approved = _arguments(decided)[1] == "approve"
            return written or job.model_copy(update={"state": "activating"} if approved else {})
        return seen(written or job, decided.status)

    def _check(self, job_id: str, allowed: Callable[[Job], bool]) -> Job:
        job = self.job(job_id)
        if not allowed(job):
            raise WrongState(job)
        return job


def _arguments(status: WorkflowStatus) -> tuple[Any, ...]:
    given = status.input
    if not isinstance(given, dict) or len(given["args"]) < 2:
        raise ValueError("not the arguments of a retraining job")
    return tuple(given["args"])


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _refuse_pickle(_: Any, __: str) -> NoReturn:
    raise ValueError("it is pickled")


# ---- the connection -----------------------------------------------------------------------------


def _engine(url: URL) -> sqlalchemy.Engine:
    """Every failure of its database is raised as DatabaseUnavailable."""
    engine = _sqlite(url) if url.get_backend_name() == "sqlite" else _postgres(url)

    @sqlalchemy.event.listens_for(engine, "handle_error")
    def report(context: ExceptionContext) -> None:
        # A row that exists already is no failure; after a failed ping the pool reconnects.
        exists = isinstance(context.sqlalchemy_exception, IntegrityError | None)
        if not exists and not context.is_pre_ping:
            raise DatabaseUnavailable(str(context.original_exception)) from None

    return engine


def _sqlite(url: URL) -> sqlalchemy.Engine:
    path = Path(url.database or "").absolute()

    def connect() -> sqlite3.Connection:
        # Not created here: without its tables it would be of no use. IMMEDIATE: writers queue.
        return sqlite3.connect(
            f"{path.as_uri()}?mode=rw",
            uri=True,
            timeout=BUSY,
            isolation_level="IMMEDIATE",
            check_same_thread=False,
        )

    engine = sqlalchemy.create_engine(
        "sqlite://", creator=connect, poolclass=sqlalchemy.QueuePool, pool_size=2, max_overflow=0
    )

    @sqlalchemy.event.listens_for(engine, "checkout")
    def check_file(_: object, record: ConnectionPoolEntry, __: object) -> None:
        """Open the file again if it was removed or replaced."""
        try:
            found = path.stat()
        except OSError:
            raise DisconnectionError from None
        if record.info.setdefault("file", (found.st_dev, found.st_ino)) != (
            found.st_dev,
            found.st_ino,
        ):
            raise DisconnectionError

    return engine


def _postgres(url: URL) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=2,
        max_overflow=0,
        pool_timeout=BUSY,
        pool_pre_ping=True,
        connect_args={
            "application_name": "digitserve",
            "connect_timeout": round(BUSY),
            "tcp_user_timeout": STATEMENT,
            "options": f"-c statement_timeout={STATEMENT} -c lock_timeout={round(BUSY * 1000)}",
        },
    )
