"""Jobs for requests: the database of jobs on a thread of its own, its failures as problems.

Predictions never wait for the database. `follow` reads it regularly, for /v1/status and /metrics.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar, get_args

from contract.errors import WorseVersion
from contract.jobs import (
    Conflict,
    DatabaseUnavailable,
    Decision,
    Found,
    Job,
    Listed,
    NoDatabase,
    NoJob,
    Position,
    Request,
    State,
    TooManyJobs,
    UnreadableJob,
    WrongState,
)
from contract.settings import example_of_jobs, worker_command
from service.errors import CannotStart, Problem
from service.problem_types.retraining import (
    ALREADY_DECIDED,
    IDEMPOTENCY_KEY_REUSED,
    JOB_IN_OTHER_STATE,
    JOBS_UNAVAILABLE,
    NO_SUCH_JOB,
    RETRAINING_NOT_SET_UP,
    TOO_MANY_JOBS,
)
from service.problem_types.versions import VERSION_IS_WORSE
from service.retraining.thread import BlockingCalls
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics

if TYPE_CHECKING:
    from contract.job_database import JobDatabase

FOLLOW = 15.0  # seconds between two reads of `follow`
COUNTED = 100  # jobs, in metrics
STATES: tuple[str, ...] = get_args(State)
T = TypeVar("T")

log = logging.getLogger("service")


class Jobs:
    """Used on the event loop alone. Each method raises Problem 404 if retraining is not set up,
    and 503 if the database cannot be used or too many calls wait for it.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        """Raises CannotStart if the packages are missing."""
        self._most_waiting = settings.max_jobs
        self._metrics = metrics
        self._database = _database(settings)
        self._calls = BlockingCalls("jobs")
        self.reachable: bool | None = None  # None: not set up, or not yet known

    @property
    def set_up(self) -> bool:
        return self._database is not None

    async def submit(self, job_id: str, request: Request) -> tuple[Job, bool]:
        """Enqueue a job; returns it, and whether it is new."""
        most = self._most_waiting
        try:
            return await self._call(lambda jobs: jobs.submit(job_id, request, most))
        except TooManyJobs as error:
            raise Problem(
                TOO_MANY_JOBS, f"{error}; try again in 60 s", headers={"retry-after": "60"}
            ) from None
        except Conflict:
            raise Problem(
                IDEMPOTENCY_KEY_REUSED,
                f"job {job_id} was started with this Idempotency-Key and another request: send a "
                "new key",
            ) from None

    async def newest(self, most: int) -> Listed:
        return await self._call(lambda jobs: jobs.jobs(most))

    async def job(self, job_id: str) -> Job:
        return await self._call(lambda jobs: jobs.job(job_id))

    async def cancel(self, job_id: str) -> Job:
        return await self._call(lambda jobs: jobs.cancel(job_id))

    async def resume(self, job_id: str) -> Job:
        return await self._call(lambda jobs: jobs.resume(job_id))

    async def decide(self, job_id: str, decision: Decision, by: str, *, force: bool) -> Job:
        try:
            return await self._call(lambda jobs: jobs.decide(job_id, decision, by, force=force))
        except Conflict as error:
            raise Problem(ALREADY_DECIDED, str(error)) from None
        except WorseVersion as error:
            raise Problem(
                VERSION_IS_WORSE, f'{error} Send {{"force": true}} to approve it all the same'
            ) from None

    async def events(self, job_id: str, since: Position) -> Found:
        """The next events after that position; if there are none yet, the job."""
        return await self._call(lambda jobs: jobs.events(job_id, since))

    async def follow(self) -> None:
        """Keep status and metrics up to date, until cancelled."""
        while self.set_up:
            states: Counter[str] = Counter()
            with suppress(Problem):  # which is logged
                states.update(job.state for job in (await self.newest(COUNTED)).jobs)
            self._metrics.jobs.set_all({(state,): states[state] for state in STATES})
            await asyncio.sleep(FOLLOW)

    def close(self) -> None:
        if self._database is not None:
            self._calls.close(self._database.close)

    async def _call(self, work: Callable[["JobDatabase"], T]) -> T:
        database = self._database
        if database is None:
            raise Problem(
                RETRAINING_NOT_SET_UP,
                "retraining is not set up: set DIGITSERVE_JOBS to a database, such as "
                f"{example_of_jobs()}, restart the service, and start a worker: {worker_command()}",
            )
        try:
            result = await self._calls.call(lambda: work(database))
        except NoJob:
            raise Problem(NO_SUCH_JOB, "there is no job with this id") from None
        except WrongState as error:
            raise Problem(JOB_IN_OTHER_STATE, str(error)) from None
        except UnreadableJob as error:
            raise _unavailable(f"{error}: run the worker of the service's version") from None
        except (DatabaseUnavailable, TimeoutError) as error:
            self._failed(str(error))
            if isinstance(error, NoDatabase):
                reason = f"there is no database of jobs yet: start a worker, {worker_command()}"
            else:
                reason = "the database of jobs cannot be used at the moment"
            raise _unavailable(reason) from None
        self._reached(True)
        return result

    def _failed(self, reason: str) -> None:
        if self._reached(False):
            log.error("the database of retraining jobs cannot be used: %s", reason)

    def _reached(self, reachable: bool) -> bool:
        """Record whether the database could be used; returns whether that has changed."""
        before, self.reachable = self.reachable, reachable
        self._metrics.jobs_reachable.set(reachable)
        if reachable and before is False:
            log.warning("the database of retraining jobs can be used again")
        return before is not reachable


def _unavailable(reason: str) -> Problem:
    return Problem(JOBS_UNAVAILABLE, f"{reason}; try again in 5 s", headers={"retry-after": "5"})


def _database(settings: Settings) -> "JobDatabase | None":
    """Imported before the service is ready: that takes half a second of the process."""
    if settings.jobs is None:
        return None
    try:
        from contract.job_database import JobDatabase
    except ImportError as error:
        raise CannotStart(
            "DIGITSERVE_JOBS names a database of retraining jobs, and the packages for it are "
            f"missing ({error}): pip install --constraint constraints.txt --group jobs, or unset it"
        ) from error
    return JobDatabase(settings.jobs.get_secret_value(), settings.model)
