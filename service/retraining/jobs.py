"""Jobs for requests: `client` on a thread of its own, its failures as problems.

Predictions never wait for the database. `follow` reads it regularly, for /v1/status and /metrics.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar, get_args
from urllib.parse import unquote, urlsplit

from contract.jobs import Decision, Job, Request, State
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
from service.retraining.interface import (
    DatabaseUnavailable,
    Found,
    Listed,
    NoJob,
    Place,
    Taken,
    TooManyJobs,
    WrongState,
)
from service.retraining.thread import BlockingCalls
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics

if TYPE_CHECKING:
    from service.retraining.client import JobsClient

FOLLOW = 15.0  # seconds between two reads of `follow`
COUNTED = 100  # jobs, in metrics
STATES: tuple[str, ...] = get_args(State)
T = TypeVar("T")

log = logging.getLogger("service")


class Jobs:
    """Used on the event loop alone. Each method raises Problem 404 if retraining is not set up,
    and 503 if the database cannot be used.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        """Raises CannotStart if the packages are missing."""
        self._most_waiting = settings.max_jobs
        self._metrics = metrics
        self._client = _client(settings)
        self._password = _password(settings)
        self._calls = BlockingCalls("jobs")
        self.reachable: bool | None = None  # None: not set up, or not yet known

    @property
    def set_up(self) -> bool:
        return self._client is not None

    async def submit(self, job_id: str, request: Request) -> tuple[Job, bool]:
        """Enqueue a job; returns it, and whether it is new."""
        most = self._most_waiting
        try:
            return await self._call(lambda client: client.submit(job_id, request, most))
        except TooManyJobs:
            raise Problem(
                TOO_MANY_JOBS,
                f"{most} jobs wait already (DIGITSERVE_MAX_JOBS); try again in 60 s",
                headers={"retry-after": "60"},
            ) from None
        except Taken:
            raise Problem(
                IDEMPOTENCY_KEY_REUSED,
                f"job {job_id} was started with this Idempotency-Key and another request: send a "
                "new key",
            ) from None

    async def newest(self, most: int) -> Listed:
        return await self._call(lambda client: client.jobs(most))

    async def job(self, job_id: str) -> Job:
        return await self._call(lambda client: client.job(job_id))

    async def cancel(self, job_id: str) -> Job:
        return await self._call(lambda client: client.cancel(job_id))

    async def resume(self, job_id: str) -> Job:
        return await self._call(lambda client: client.resume(job_id))

    async def decide(self, job_id: str, decision: Decision, by: str) -> Job:
        try:
            return await self._call(lambda client: client.decide(job_id, decision, by))
        except Taken:
            other = "rejected" if decision == "approve" else "approved"
            raise Problem(ALREADY_DECIDED, f"job {job_id} was {other} before") from None

    async def events(self, job_id: str, since: Place) -> Found:
        """The next events after that place; if there are none yet, the job."""
        return await self._call(lambda client: client.events(job_id, since))

    async def follow(self) -> None:
        """Keep status and metrics up to date, until cancelled."""
        while self.set_up:
            states: Counter[str] = Counter()
            with suppress(Problem):  # which is logged
                states.update(job.state for job in (await self.newest(COUNTED)).jobs)
            self._metrics.jobs.set_all({(state,): states[state] for state in STATES})
            await asyncio.sleep(FOLLOW)

    def close(self) -> None:
        if self._client is not None:
            self._calls.close(self._client.close)

    async def _call(self, work: Callable[["JobsClient"], T]) -> T:
        client = self._client
        if client is None:
            raise Problem(
                RETRAINING_NOT_SET_UP,
                "retraining is not set up: set DIGITSERVE_JOBS to a database, such as "
                "sqlite:////var/lib/digitserve/jobs.sqlite, and start a worker with `make worker`",
            )
        try:
            result = await self._calls.call(lambda: work(client))
        except NoJob:
            raise Problem(NO_SUCH_JOB, "there is no job with this id") from None
        except WrongState as error:
            job = error.job
            raise Problem(
                JOB_IN_OTHER_STATE, f"job {job.id} is {job.state.replace('_', ' ')}"
            ) from None
        except (DatabaseUnavailable, TimeoutError) as error:
            self._failed(str(error))
            raise _unavailable("the database of jobs cannot be used at the moment") from None
        except ValueError:
            raise _unavailable(
                "another version of the worker wrote this job: run that of the service"
            ) from None
        self._reached(True)
        return result

    def _failed(self, reason: str) -> None:
        if self._reached(False):
            if self._password:
                reason = reason.replace(self._password, "***")
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


def _client(settings: Settings) -> "JobsClient | None":
    """Imported before the service is ready: that takes half a second of the process."""
    if settings.jobs is None:
        return None
    try:
        from service.retraining.client import JobsClient
    except ImportError as error:
        raise CannotStart(
            "DIGITSERVE_JOBS names a database of retraining jobs, and the packages for it are "
            f"missing ({error}): pip install --constraint constraints.txt --group jobs, or unset it"
        ) from error
    return JobsClient(settings.jobs.get_secret_value(), settings.model)


def _password(settings: Settings) -> str:
    url = settings.jobs.get_secret_value() if settings.jobs else ""
    return unquote(urlsplit(url).password or "")
