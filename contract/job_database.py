"""Jobs in the database that the service, the terminal and the retraining worker share.

JobDatabase submits, shows, cancels, resumes, approves and rejects jobs; it runs none.

DBOS is an optional group of packages: this module and `job_connection` are imported only where
DIGITSERVE_JOBS is set, and are besides the worker's workflows the only users of DBOS.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from dbos import DBOSClient, DBOSPortableJSONSerializer, WorkflowStatus, error
from dbos._serialization import DefaultSerializer

from contract.activation import failed_checks
from contract.errors import WorseVersion
from contract.job_connection import STATEMENT, engine_of, time_of
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

MOST_EVENTS = 500  # that are read at a time
WAITING = ["ENQUEUED", "DELAYED"]  # of the statuses of DBOS


class JobDatabase:
    """Used by one thread at a time. Each method raises DatabaseUnavailable, and UnreadableJob."""

    def __init__(self, url: str, model: str) -> None:
        """`url` is one that `check_database` accepts. Connects with the first call."""
        logging.getLogger("dbos").setLevel(logging.CRITICAL)  # what fails is raised
        _refuse_pickles()
        self._model = model
        self._engine = engine_of(url)
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
        """Have the version activated, or not; one decision again goes on with one that failed.

        Raises WrongState unless the job awaits approval, Conflict if it was decided otherwise, and
        that has not failed, and, unless `force`, WorseVersion instead of approving a version whose
        verdict is worse.
        """
        job = self.job(job_id)
        decided = self._status(decision_of(job_id))
        if decided and job.state == "failed" and _arguments(decided)[1] != decision:
            self._client.delete_workflow(decision_of(job_id))
            job, decided = self.job(job_id), None
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
        if done and not self._stream(decision_of(job_id), done - 1, 1):
            done = 0  # it failed and was decided again, which begins its stream anew
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
