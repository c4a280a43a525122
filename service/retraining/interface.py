"""What the client of the database returns and raises, without a part of DBOS, which is optional."""

from typing import NamedTuple

from contract.jobs import Event, Job

# States of a job in which nobody can have decided on it, and those that will change by themselves.
BEFORE_DECISION = frozenset({"queued", "training", "exporting", "judging"})
RUNNING = BEFORE_DECISION | {"activating"}


class DatabaseUnavailable(Exception):
    """The database cannot be used now. The message is for the log: it may name a host or a user."""


class NoJob(Exception):
    """There is no job with that id."""


class TooManyJobs(Exception):
    """As many jobs wait as may."""


class Taken(Exception):
    """A job or a decision with that id exists, and is another one."""


class WrongState(Exception):
    """The job is in a state in which that cannot be done."""

    def __init__(self, job: Job) -> None:
        super().__init__(job.state)
        self.job = job


class Place(NamedTuple):
    """How many events a reader has of a job and, once it has all of them, of its decision."""

    job: int = 0
    decision: int = 0


class Listed(NamedTuple):
    jobs: list[Job]  # the newest first
    unreadable: int  # further ones, which another version of the worker wrote


class Found(NamedTuple):
    """What a reader of a job's events gets: the next ones, or else the job as it is after them."""

    events: list[tuple[Place, Event]]
    job: Job | None = None
