"""Jobs in the database that the service, the terminal and the retraining worker share.

    JobDatabase   submits, shows, cancels, resumes, approves and rejects jobs; runs none
    create        the tables
    failures      turns errors of DBOS, as the worker uses it, into DatabaseUnavailable

DBOS is an optional group of packages: this module is imported only where DIGITSERVE_JOBS is set,
and is besides the worker's workflows the only user of DBOS.

The database may be locked, full, gone or not yet set up: each call then raises DatabaseUnavailable
within seconds, where DBOS by itself would retry for ever.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import sqlalchemy
from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer, WorkflowStatus, error
from dbos._serialization import DefaultSerializer
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import DisconnectionError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from contract.activation import failed_checks
from contract.errors import WorseVersion
from contract.jobs import (
    APPLICATION,
    BEFORE_DECISION,
    DECISION,
    DECISIONS,
    EVENTS,
    FINAL,
    JOB,
    QUEUE,
    RUNNING,
    WORKFLOW,
    Conflict,
    DatabaseUnavailable,
    Decision,
    Event,
    Found,
    Job,
    Listed,
    NoJob,
    Position,
    Request,
    TooManyJobs,
    UnreadableJob,
    WrongState,
    decision_of,
    seen,
)

BUSY = 2.0  # seconds that a statement waits for a lock, and a connection for its server
STATEMENT = 4000  # milliseconds that a statement in Postgres may take
MOST_EVENTS = 500  # that are read at a time
WAITING = ["ENQUEUED", "DELAYED"]  # of the statuses of DBOS


class JobDatabase:
    """Used by one thread at a time. Each method raises DatabaseUnavailable, and UnreadableJob."""

    def __init__(self, url: str, model: str) -> None:
        """`url` is one that `check_database` accepts. Connects with the first call."""
        logging.getLogger("dbos").setLevel(logging.CRITICAL)  # what fails is raised
        _refuse_pickles()
        self._model = model
        self._engine = _engine(make_url(url))
        self._client = DBOSClient(
            system_database_engine=self._engine,
            serializer=DBOSPortableJSONSerializer(),
            application_name=APPLICATION,
            lazy=True,
            retry_connection_errors=False,
            observability_query_timeout_sec=STATEMENT / 1000,
        )

    def close(self) -> None:
        self._client.destroy()
        self._engine.dispose()

    def submit(self, job_id: str, request: Request, most_waiting: int) -> tuple[Job, bool]:
        """Enqueue a job; returns it, and whether it is new.

        Raises Conflict if the id has another request, TooManyJobs if `most_waiting` jobs wait.
        """
        arguments = (job_id, request.model_dump(mode="json"))
        if self._status(job_id) is None:
            if self._waiting(most_waiting) >= most_waiting:
                raise TooManyJobs(f"{most_waiting} jobs wait already (DIGITSERVE_MAX_JOBS)")
            if self._enqueue(WORKFLOW, QUEUE, job_id, *arguments):
                return self.job(job_id), True
        job = self.job(job_id)
        if job.request != request:
            raise Conflict(f"there is a job {job_id} with another request")
        return job, False

    def jobs(self, most: int) -> Listed:
        found = self._client.list_workflows(
            name=WORKFLOW, limit=most, sort_desc=True, load_output=False
        )
        jobs = []
        for each in found:
            with suppress(UnreadableJob):
                jobs.append(self._observed(each))
        return Listed(jobs, len(found) - len(jobs))

    def job(self, job_id: str) -> Job:
        """Raises NoJob."""
        status = self._status(job_id)
        if status is None or status.name != WORKFLOW:
            raise NoJob(f"there is no job {job_id}")
        return self._observed(status)

    def cancel(self, job_id: str) -> Job:
        """Raises WrongState if it has ended in another way."""
        self._check(job_id, lambda job: job.state in {*RUNNING, "cancelled"}, "cancelled")
        self._client.cancel_workflow(job_id)
        return self._check(job_id, lambda job: job.state == "cancelled", "cancelled")

    def resume(self, job_id: str) -> Job:
        """Raises WrongState if it is not resumable; a job that waits or runs goes on."""
        job = self._check(job_id, lambda job: job.resumable or job.state in RUNNING, "resumed")
        if job.resumable and job.state == "cancelled":
            self._client.resume_workflow(job_id, queue_name=QUEUE)
        elif job.resumable and self._status(decision_of(job_id)) is not None:
            self._rewind(decision_of(job_id), DECISIONS)  # what failed is the decision alone
        elif job.resumable:
            self._rewind(job_id, QUEUE)
        return self.job(job_id)

    def decide(self, job_id: str, decision: Decision, by: str, *, force: bool = False) -> Job:
        """Have the version activated, or not; the same decision again goes on with one that failed.

        Raises WrongState unless the job awaits approval, Conflict if it was decided otherwise, and,
        unless `force`, WorseVersion instead of approving a version whose verdict is worse.
        """
        job = self.job(job_id)
        decided = self._status(decision_of(job_id))
        if decided is None:
            if job.state != "awaiting_approval":
                raise WrongState(job, "approved" if decision == "approve" else "rejected")
            worse = failed_checks(job.version or 0, job.gate) if job.gate else ()
            if decision == "approve" and not force and (reasons := " ".join(worse)):
                raise WorseVersion(reasons)
            self._enqueue(DECISION, DECISIONS, decision_of(job_id), job_id, decision, by)
            decided = self._status(decision_of(job_id))
        if decided is None or _arguments(decided)[1] != decision:
            before = "rejected" if decision == "approve" else "approved"
            raise Conflict(f"job {job_id} was {before} before")
        if job.state == "failed":
            self._rewind(decision_of(job_id), DECISIONS)
        return self.job(job_id)

    def recover(self, worker: str) -> list[str]:
        """Have other workers run what one ran that never comes back; returns the ids."""
        found = self._client.list_workflows(
            status="PENDING", executor_id=worker, load_input=False, load_output=False
        )
        for each in found:
            queue = QUEUE if each.name == WORKFLOW else DECISIONS
            self._client.resume_workflow(each.workflow_id, queue_name=queue)
        return [each.workflow_id for each in found]

    def events(self, job_id: str, since: Position) -> Found:
        """At most MOST_EVENTS after that position; if there are none, the job. Raises NoJob.

        From the first one again if there are fewer than that: a job that is resumed after a failure
        begins its stream anew.
        """
        if events := self._stream(job_id, since.job):
            return Found([(Position(since.job + n), event) for n, event in enumerate(events, 1)])
        if since.job and not self._stream(job_id, since.job - 1, 1):
            return self.events(job_id, Position())
        job = self.job(job_id)
        if job.state in BEFORE_DECISION:
            return Found([], job)
        # It may have written more before it ended; those of the decision come after all of them.
        if events := self._stream(job_id, since.job):
            return Found([(Position(since.job + n), event) for n, event in enumerate(events, 1)])
        done = since.decision
        events = self._stream(decision_of(job_id), done)
        return Found(
            [(Position(since.job, done + n), event) for n, event in enumerate(events, 1)],
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

    def _rewind(self, workflow_id: str, queue: str) -> None:
        """Have a workflow that has ended run again from its first step."""
        with suppress(error.DBOSException):  # another request has rewound it
            self._client.rewind_workflow(workflow_id, queue_name=queue)

    def _stream(self, workflow_id: str, offset: int, most: int = MOST_EVENTS) -> list[Event]:
        events: list[Event] = []
        # The two errors are raised where there are no more yet.
        with (
            _reading(workflow_id),
            suppress(error.DBOSStreamTimeoutError, error.DBOSNonExistentWorkflowError),
        ):
            for each in self._client.read_stream(
                workflow_id, EVENTS, offset=offset, timeout_seconds=0
            ):
                events.append(Event.model_validate(each))
                if len(events) == most:
                    break
        return events

    def _written(self, workflow_id: str) -> Job | None:
        """The job as that workflow wrote it last."""
        with _reading(workflow_id):
            written = self._client.get_event(workflow_id, JOB, timeout_seconds=0)
            return None if written is None else Job.model_validate(written)

    def _observed(self, status: WorkflowStatus) -> Job:
        job = self._written(status.workflow_id) or self._unwritten(status)
        job = seen(job, status.status)
        if job.state == "awaiting_approval":
            job = self._after_decision(job)
        if job.state in FINAL and job.ended is None and status.completed_at:
            job = job.model_copy(update={"ended": time_of(status.completed_at)})
        return job

    def _unwritten(self, status: WorkflowStatus) -> Job:
        """A job that no worker has begun."""
        with _reading(status.workflow_id):
            return Job(
                id=status.workflow_id,
                state="queued",
                request=Request.model_validate(_arguments(status)[1]),
                model=self._model,
                created=time_of(status.created_at or 0),
            )

    def _after_decision(self, job: Job) -> Job:
        decided = self._status(decision_of(job.id))
        if decided is None:
            return job
        written = self._written(decided.workflow_id)
        waits = decided.status in (*WAITING, "PENDING")
        if written is None and waits and _arguments(decided)[1] == "reject":
            return job
        begun = written or job.model_copy(update={"state": "activating"})
        return begun if waits else seen(begun, decided.status)

    def _check(self, job_id: str, allowed: Callable[[Job], bool], action: str) -> Job:
        job = self.job(job_id)
        if not allowed(job):
            raise WrongState(job, action)
        return job


@contextmanager
def _reading(workflow_id: str) -> Iterator[None]:
    """Raises what is read in vain as UnreadableJob."""
    try:
        yield
    except ValueError as invalid:
        message = f"another version of the worker wrote job {workflow_id}"
        raise UnreadableJob(message) from invalid


def _arguments(status: WorkflowStatus) -> tuple[Any, ...]:
    given = status.input
    with _reading(status.workflow_id):
        if not isinstance(given, dict) or len(given["args"]) < 2:
            raise ValueError("not the arguments of a retraining job")
        return tuple(given["args"])


def _refuse_pickles() -> None:
    """A row may say that it is pickled: reading it would run code of the client that wrote it."""
    DefaultSerializer.deserialize = _refuse_pickle  # type: ignore[method-assign, assignment]


def _refuse_pickle(_: Any, __: str) -> NoReturn:
    raise ValueError("it is pickled")


# ---- used by the worker too ---------------------------------------------------------------------


def create(url: str) -> None:
    """Create the tables that are missing, and the folder of a SQLite file.

    Raises DatabaseUnavailable, or OSError.
    """
    if path := file_of(url):
        path.parent.mkdir(parents=True, exist_ok=True)
    with failures(url):
        DBOS.migrate(url)


@contextmanager
def failures(url: str) -> Iterator[None]:
    """Raises what fails in the database as DatabaseUnavailable."""
    try:
        yield
    except (SQLAlchemyError, error.DBOSException) as failure:
        raise _unavailable(make_url(url), failure) from failure


def file_of(url: str) -> Path | None:
    """That of SQLite; None: the database is not a file."""
    return Path(make_url(url).database or "") if url.startswith("sqlite:") else None


def shown(url: str) -> str:
    """The URL without its password."""
    return make_url(url).render_as_string(hide_password=True)


def short(failure: BaseException) -> str:
    """The first line of the driver's message: statements and parameters follow it."""
    message = str(getattr(failure, "orig", None) or failure).strip()
    return message.splitlines()[0] if message else type(failure).__name__


def time_of(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


# ---- the connection -----------------------------------------------------------------------------


def _engine(url: URL) -> sqlalchemy.Engine:
    """Every failure of its database is raised as DatabaseUnavailable."""
    engine = _sqlite(url) if url.get_backend_name() == "sqlite" else _postgres(url)

    @sqlalchemy.event.listens_for(engine, "handle_error")
    def report(context: ExceptionContext) -> None:
        # A row that exists already is no failure; after a failed ping the pool reconnects.
        exists = isinstance(context.sqlalchemy_exception, IntegrityError | None)
        if not exists and not context.is_pre_ping:
            raise _unavailable(url, context.original_exception) from None

    return engine


def _unavailable(url: URL, failure: BaseException) -> DatabaseUnavailable:
    # DBOS retries an error of any type for ever if it says "database is locked".
    reason = short(failure).replace("database is locked", "another program holds its lock")
    if url.password:
        reason = reason.replace(str(url.password), "***")
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        reason = "there is no such file: a worker and `python -m retraining submit` create it"
    return DatabaseUnavailable(f"{url.render_as_string(hide_password=True)}: {reason}")


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
