"""The worker: runs jobs as workflows of DBOS, a library that records them in SQLite or Postgres.

    begin -> train -> publish -> settle -> prune     publish and settle again if `current` moved

Each step is recorded: the worker of the same name that starts after a kill -9 continues the step
that was not. Steps return the JSON of a contract.jobs.Job, nothing is pickled. The worker opens no
port and sends nothing to anybody.
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

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer
from dbos import error as dbos_errors
from sqlalchemy.exc import SQLAlchemyError

from contract.errors import StoreError
from contract.job_connection import create, failures, file_of, name_held, short, shown, time_of
from contract.job_database import JobDatabase
from contract.jobs import (
    APPLICATION,
    DECISION,
    DECISIONS,
    EVENTS,
    FINAL,
    JOB,
    QUEUE,
    WORKFLOW,
    DatabaseUnavailable,
    Decision,
    Event,
    Job,
    Progress,
    Request,
    decision_of,
)
from contract.programs import Interrupted, StillRunning, leave_one_core
from retraining import steps
from retraining.settings import Settings
from retraining.steps import Failed

# Of the workflows: raised if one that was begun cannot be continued by the changed code.
VERSION = "1"
LOOK = 0.5  # seconds between two looks at whether a job was cancelled
WATCH = 1.0  # seconds between two looks at the file of the database
EXPECTED = (Failed, StillRunning, StoreError, OSError)  # of a step
DONE = {*FINAL, "awaiting_approval"}  # states in which a job no longer runs
# Of the statuses of DBOS.
ENDED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
MOST_JOBS = 10_000  # that pruning looks at
KEPT = 200  # newest jobs and decisions that stay in the database when they have ended

Json = dict[str, Any]
log = logging.getLogger("retraining")


class NameTaken(Exception):
    """A worker of that name runs: it would lose its job to another one."""


class _WorkerStops(BaseException):
    """Ends a workflow without an outcome: it goes on when a worker starts."""


class Worker:
    """Runs jobs, one at a time over all workers of a database, until it is stopped."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database = JobDatabase(settings.jobs, settings.model)
        self._stop = threading.Event()
        self._fault: str | None = None  # of the database

    def run(self) -> int:
        """Exit code 0 after SIGTERM or Ctrl-C, 1 if the database failed. Raises NameTaken."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        if not self._settings.all_cores:
            leave_one_core()
        create(self._settings.jobs)
        with self._name_held():
            return self._run()

    @contextmanager
    def _name_held(self) -> Iterator[None]:
        """Jobs of a name are one worker's, who alone goes on with them."""
        name = self._settings.name
        with name_held(self._settings.jobs, name) as is_held:
            if not is_held:
                raise NameTaken(
                    f"a worker named {name} runs already: stop it, or give this one a name of its "
                    "own that stays the same at each start (--name)"
                )
            yield

    def _run(self) -> int:
        with failures(self._settings.jobs):
            self._launch()
        file = file_of(self._settings.jobs)
        identity = _identity(file)
        log.info("worker %s waits for jobs in %s", self._settings.name, shown(self._settings.jobs))
        while not self._stop.wait(WATCH):
            if _identity(file) != identity:
                self._fail(f"{file} was removed or replaced")
        DBOS.destroy(workflow_completion_timeout_sec=90)  # a training saves its state
        return self._end()

    def _end(self) -> int:
        if self._fault:
            log.error("%s; jobs go on when the worker starts again", self._fault)
            return 1
        try:
            jobs = self._database.recover(self._settings.name)  # another worker may go on at once
        except DatabaseUnavailable as error:
            log.warning("stopped; its job goes on when the worker starts again: %s", error)
            return 0
        log.info("stopped%s", f"; waiting again: {', '.join(jobs)}" if jobs else "")
        return 0

    def _fail(self, fault: str) -> None:
        self._fault = fault
        self._stop.set()

    def _launch(self) -> None:
        logger = logging.getLogger("dbos")
        logger.setLevel(logging.ERROR)
        logger.addHandler(logging.NullHandler())  # it adds none of its own
        logger.addFilter(_is_failure)
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
            created=time_of(status.created_at or 0) if status else datetime.now(UTC),
        )

    def _pruned(self, job: Job) -> Job:
        try:
            jobs = self._database.jobs(MOST_JOBS).jobs
        except DatabaseUnavailable as error:
            log.warning("nothing is pruned: %s", error)
            return job
        steps.prune(self._settings, jobs)
        needed = {each.id for each in jobs if steps.is_needed(each)}
        needed |= {decision_of(job_id) for job_id in needed}
        ended = DBOS.list_workflows(status=ENDED, sort_desc=True, offset=KEPT, load_input=False)
        for each in ended:
            if each.workflow_id not in needed:
                DBOS.delete_workflow(each.workflow_id)
        return job

    def _step(self, name: str, function: Callable[["_Reporter"], Job]) -> Job:
        """Run a step and return what it returns, or what it returned when it was run before."""
        reporter = _Reporter(self._stop)

        def run() -> Json:
            try:
                return self._attempt(name, function, reporter).model_dump(mode="json")
            except dbos_errors.DBOSWorkflowConflictIDError:
                job_id = DBOS.workflow_id
                log.info("job %s: cancelled or taken over, its step %s stops here", job_id, name)
                reporter.undo_late_cancel()
                raise

        try:
            return Job.model_validate(DBOS.run_step({"name": name}, run))
        except SQLAlchemyError as error:
            # The workflow has no outcome, so it would be stuck until the worker starts again.
            self._fail(f"the database failed: {short(error)}")
            raise _WorkerStops from error

    def _attempt(
        self, name: str, function: Callable[["_Reporter"], Job], reporter: "_Reporter"
    ) -> Job:
        try:
            return function(reporter)
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
            return steps.failed(reporter.last, reporter, _sentence(error))


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

    def first(self, name: str, value: int) -> int:
        """Record a value, unless an earlier attempt of the step has; returns what is recorded."""
        recorded: int | None = DBOS.get_event(DBOS.workflow_id or "", name, timeout_seconds=0)
        if recorded is None:
            DBOS.set_event(name, value)
        return value if recorded is None else recorded

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


def _is_failure(record: logging.LogRecord) -> bool:
    """Not the end of a workflow that was cancelled, or that goes on later."""
    raised = record.exc_info[1] if record.exc_info else None
    return not isinstance(raised, dbos_errors.DBOSAwaitedWorkflowCancelledError | _WorkerStops)


def _config(settings: Settings) -> DBOSConfig:
    return {
        "name": APPLICATION,
        "system_database_url": settings.jobs,
        "executor_id": settings.name,
        "application_version": VERSION,
        "serializer": DBOSPortableJSONSerializer(),
        "log_level": "ERROR",
    }


def _sentence(error: Exception) -> str:
    """The message of an expected error; of another one, with its type."""
    return str(error) if isinstance(error, EXPECTED) else f"{type(error).__name__}: {error}"


def _identity(file: Path | None) -> int | None:
    """What changes if a file is replaced; None: there is none."""
    return file.stat().st_ino if file and file.exists() else None
