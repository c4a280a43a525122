"""Jobs in the database: the worker that runs them, and what submits, lists and cancels them.

This is the only module that imports DBOS, a library of durable workflows in SQLite or Postgres. A
workflow's steps are recorded there: the worker of the same name that starts after a kill -9 runs on
with the step that was not. Steps get and return the JSON of a contract.jobs.Job; nothing is
pickled. The worker opens no port and reports to nobody.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from dbos import (
    DBOS,
    DBOSClient,
    DBOSConfig,
    DBOSPortableJSONSerializer,
    WorkflowStatus,
)
from dbos import (
    error as errors,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from contract.errors import StoreError
from contract.jobs import (
    APPLICATION,
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
    Progress,
    Request,
    decision_of,
    seen,
)
from retraining import steps
from retraining.programs import Interrupted, StillRunning
from retraining.settings import Settings
from retraining.steps import Failed

# Of the workflows: raised if one that was begun cannot be continued by the changed code.
VERSION = "1"
LOOK = 0.5  # seconds between two looks at whether a job was cancelled
WATCH = 1.0  # seconds between two looks at the file of the database
EXPECTED = (Failed, StillRunning, StoreError, OSError)  # of a step
DONE = {*FINAL, "awaiting_approval"}
ACTIVE = ["ENQUEUED", "DELAYED", "PENDING"]  # of the statuses of DBOS

Json = dict[str, Any]
log = logging.getLogger("retraining")


class DatabaseError(Exception):
    """The database cannot be used; the message says why, without a password."""


class NoJob(Exception):
    """There is no job with that id."""


class Refused(Exception):
    """The job is in a state in which that cannot be done, or too many jobs wait."""


class _WorkerStops(BaseException):
    """Ends a workflow without an outcome: it goes on when a worker starts."""


# ---- the worker ---------------------------------------------------------------------------------


class Worker:
    """Runs jobs, one at a time over all workers of a database, until it is stopped."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._fault: str | None = None  # of the database

    def run(self) -> int:
        """Exit code 0 after SIGTERM or Ctrl-C, 1 if the database failed."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        with _errors_of(self._settings.jobs):
            _check_file(self._settings.jobs, create=True)
            self._launch()
        log.info("worker %s waits for jobs in %s", self._settings.name, shown(self._settings.jobs))
        file = _file_of(self._settings.jobs)
        identity = file and file.stat().st_ino
        while not self._stop.wait(WATCH):
            if file and (not file.exists() or file.stat().st_ino != identity):
                self._fail(f"{file} was removed or replaced")
        DBOS.destroy(workflow_completion_timeout_sec=90)  # a training saves its state
        return self._end()

    def _end(self) -> int:
        if self._fault:
            log.error("%s; jobs go on when the worker starts again", self._fault)
            return 1
        try:
            with _client(self._settings) as client:  # another worker may go on at once
                jobs = _recover(client, self._settings.name)
        except DatabaseError as error:
            log.warning("stopped; its job goes on when the worker starts again: %s", error)
            return 0
        log.info("stopped%s", f"; waiting again: {', '.join(jobs)}" if jobs else "")
        return 0

    def _fail(self, fault: str) -> None:
        self._fault = fault
        self._stop.set()

    def _launch(self) -> None:
        logging.getLogger("dbos").setLevel(logging.ERROR)
        logging.getLogger("dbos").addHandler(logging.NullHandler())  # it adds none of its own
        DBOS(config=_config(self._settings))

        @DBOS.workflow(name=WORKFLOW)
        def retrain(job_id: str, request: Json) -> None:
            self._retrain(job_id, request)

        @DBOS.workflow(name=DECISION)
        def decide(job_id: str, decision: Decision, by: str) -> None:
            self._decide(job_id, decision, by)

        DBOS.launch()
        for queue in (QUEUE, DECISIONS):
            DBOS.register_queue(
                queue, global_concurrency=1, worker_concurrency=1, on_conflict="always_update"
            )

    # ---- workflows: only what is the same each time stands outside of a step --------------------

    def _retrain(self, job_id: str, request: Json) -> None:
        job = self._step("begin", lambda _: self._begun(job_id, request))
        names = ["train", *["publish", "settle"] * steps.ROUNDS, "give up"]
        for name in names:
            if job.state in DONE:
                break
            job = self._step(name, partial(_STEPS[name], job, self._settings))
        self._step("prune", lambda _: self._pruned(job))

    def _decide(self, job_id: str, decision: Decision, by: str) -> None:
        written = DBOS.get_event(job_id, JOB, timeout_seconds=0)
        if written is not None and written["state"] == "awaiting_approval":
            job = Job.model_validate(written)
            self._step("decide", partial(steps.decide, job, decision, by, self._settings))

    def _begun(self, job_id: str, request: Json) -> Job:
        status = DBOS.get_workflow_status(job_id)
        return Job(
            id=job_id,
            state="queued",
            request=Request.model_validate(request),
            model=self._settings.model,
            created=_time(status.created_at if status else None),
        )

    def _pruned(self, job: Job) -> Job:
        active = DBOS.list_workflows(name=WORKFLOW, status=ACTIVE, load_input=False)
        steps.prune(self._settings, {job.id, *(each.workflow_id for each in active)})
        return job

    def _step(self, name: str, function: Callable[["_Reporter"], Job]) -> Job:
        """Run a step and return what it returns, or what it returned when it was run before."""
        reporter = _Reporter(self._stop)

        def run() -> Json:
            try:
                job = function(reporter)
            except Interrupted as interrupted:
                if self._stop.is_set():
                    raise _WorkerStops from interrupted
                reporter.check_owner()
                raise
            except SQLAlchemyError:
                raise
            except Exception as error:  # a job that fails must not end the worker
                if not isinstance(error, EXPECTED):
                    log.exception("step %s", name)
                if reporter.last is None:
                    raise
                job = steps.failed(reporter.last, reporter, _sentence(error))
            except errors.DBOSWorkflowConflictIDError:
                reporter.undo_late_cancel()
                raise
            return job.model_dump(mode="json")

        try:
            return Job.model_validate(DBOS.run_step({"name": name}, run))
        except SQLAlchemyError as error:
            # The workflow has no outcome, so it would be stuck until the worker starts again.
            self._fail(f"the database failed: {_short(error)}")
            raise _WorkerStops from error


_STEPS: dict[str, Callable[[Job, Settings, "_Reporter"], Job]] = {
    "train": steps.train,
    "publish": steps.publish,
    "settle": steps.settle,
    "give up": steps.give_up,
}


class _Reporter:
    """Writes to the database what a step reports."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._looked = 0.0
        self.last: Job | None = None

    def job(self, job: Job) -> None:
        self.last = job
        DBOS.set_event(JOB, job.model_dump(mode="json"))
        self._write("job", job.model_dump(mode="json"))

    def progress(self, job: Job, progress: Progress) -> None:
        self.last = job
        DBOS.set_event(JOB, job.model_dump(mode="json"))
        self._write("progress", progress.model_dump(mode="json"))

    def line(self, line: str) -> None:
        self._write("log", {"line": line})

    def stop_requested(self) -> bool:
        if self._stop.is_set():
            return True
        if time.monotonic() - self._looked < LOOK:
            return False
        self._looked = time.monotonic()
        status = DBOS.get_workflow_status(DBOS.workflow_id or "")
        return status is None or (status.status, status.executor_id) != (
            "PENDING",
            DBOS.executor_id,
        )

    def check_owner(self) -> None:
        """Raises DBOSWorkflowConflictIDError if the job was cancelled or is another worker's."""
        self._write("log", {"line": "stopped"})

    def undo_late_cancel(self) -> None:
        """Let a job end that was cancelled when its version was current already."""
        if self.last and self.last.state == "activated" and DBOS.workflow_id:
            status = DBOS.get_workflow_status(DBOS.workflow_id)
            if status and status.status == "CANCELLED":
                DBOS.resume_workflow(DBOS.workflow_id, queue_name=DECISIONS)

    def _write(self, kind: Any, data: Json) -> None:
        event = Event(kind=kind, at=datetime.now(UTC), data=data)
        DBOS.write_stream(EVENTS, event.model_dump(mode="json"))


# ---- clients ------------------------------------------------------------------------------------


class Jobs:
    """What a person at a terminal does with jobs; the service has routes for the same."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def submit(self, job_id: str, request: Request) -> Job:
        """Refused if too many jobs wait, or if the id has another request."""
        with _client(self._settings, create=True) as client:
            waiting = client.list_workflows(name=WORKFLOW, status=ACTIVE[:2], load_input=False)
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
        with _client(self._settings) as client:
            found = client.list_workflows(name=WORKFLOW, sort_desc=True, limit=most)
            return [self._seen(client, each) for each in found]

    def job(self, job_id: str) -> Job:
        with _client(self._settings) as client:
            return self._job(client, job_id)

    def cancel(self, job_id: str) -> Job:
        with _client(self._settings) as client:
            job = self._job(client, job_id)
            if job.state in DONE - {"cancelled"}:
                raise Refused(f"{job_id} is {words(job.state)}, so it cannot be cancelled")
            client.cancel_workflow(job_id)
            return self._job(client, job_id)

    def resume(self, job_id: str) -> Job:
        with _client(self._settings) as client:
            job = self._job(client, job_id)
            if job.state == "cancelled":
                client.resume_workflow(job_id, queue_name=QUEUE)
            elif job.state == "failed":
                client.rewind_workflow(job_id, queue_name=QUEUE)
            else:
                raise Refused(f"{job_id} is {words(job.state)}, so it cannot be resumed")
            return self._job(client, job_id)

    def decide(self, job_id: str, decision: Decision, by: str) -> Job:
        with _client(self._settings) as client:
            job = self._job(client, job_id)
            if job.state != "awaiting_approval":
                raise Refused(f"{job_id} is {words(job.state)} and does not await approval")
            _enqueue(client, DECISIONS, DECISION, decision_of(job_id), job_id, decision, by)
            return job

    def recover(self, worker: str) -> list[str]:
        """Have other workers run the jobs of one that never comes back; their ids."""
        with _client(self._settings) as client:
            return _recover(client, worker)

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
                created=_time(status.created_at),
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


def _config(settings: Settings) -> DBOSConfig:
    return {
        "name": APPLICATION,
        "system_database_url": settings.jobs,
        "executor_id": settings.name,
        "application_version": VERSION,
        "serializer": DBOSPortableJSONSerializer(),
        "log_level": "ERROR",
    }


@contextmanager
def _client(settings: Settings, *, create: bool = False) -> Iterator[DBOSClient]:
    """DatabaseError if it cannot be used; with `create`, its tables are created first."""
    logging.getLogger("dbos").setLevel(logging.CRITICAL)  # what fails is raised
    with _errors_of(settings.jobs):
        _check_file(settings.jobs, create=create)
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
def _errors_of(url: str) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, ArgumentError, errors.DBOSException) as error:
        raise DatabaseError(f"{shown(url)} cannot be used: {_short(error)}") from error


def _check_file(url: str, *, create: bool) -> None:
    """A missing SQLite file would be created, empty; its folder would not."""
    path = _file_of(url)
    if path is None:
        return
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
    elif not path.exists():
        raise DatabaseError(f"{path} does not exist: no job was submitted yet")


def _file_of(url: str) -> Path | None:
    """That of SQLite; None: the database is not a file."""
    return Path(make_url(url).database or "") if url.startswith("sqlite:") else None


def _enqueue(
    client: DBOSClient, queue: str, workflow: str, workflow_id: str, *arguments: Any
) -> None:
    """Twice is once."""
    client.enqueue(
        {"workflow_name": workflow, "queue_name": queue, "workflow_id": workflow_id}, *arguments
    )


def _recover(client: DBOSClient, worker: str) -> list[str]:
    found = client.list_workflows(status="PENDING", executor_id=worker, load_input=False)
    for each in found:
        queue = QUEUE if each.name == WORKFLOW else DECISIONS
        client.resume_workflow(each.workflow_id, queue_name=queue)
    return [each.workflow_id for each in found]


def _time(milliseconds: int | None) -> datetime:
    return datetime.fromtimestamp((milliseconds or time.time() * 1000) / 1000, UTC)


def _sentence(error: Exception) -> str:
    """The message of an expected error; of another one, with its type."""
    return str(error) if isinstance(error, EXPECTED) else f"{type(error).__name__}: {error}"


def _short(error: Exception) -> str:
    """The first line of the driver's message: statements and parameters follow it."""
    message = str(getattr(error, "orig", None) or error).strip()
    return message.splitlines()[0] if message else type(error).__name__
