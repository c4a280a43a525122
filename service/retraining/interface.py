"""What the client of the database returns and raises, without a part of DBOS, which is optional."""

from typing import NamedTuple

from contract.jobs import Job

# States of a job that the queue or the worker will change by itself.
RUNNING = frozenset({"queued", "training", "exporting", "judging", "activating"})


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
