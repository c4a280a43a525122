"""What happened in a run: requests, faults, switches, deaths of workers, observations from outside.

All times are seconds of `time.monotonic` in the process that generates the load, so they can be
compared. A request starts before its first byte is sent and ends when its answer has been read: the
times measured by the service lie in between.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

# The status of an answer, or: refused (no connection), reset, closed (before the answer was
# complete), silent (no answer within the patience of the client), not taken (pipelined after an
# answer that closes the connection).
Outcome = str
LOST = frozenset({"reset", "closed", "silent"})
OK = frozenset({"200"})
How = Literal["answered", "followed", "unknown"]


@dataclass(frozen=True)
class Request:
    client: str
    began: float
    ended: float
    outcome: Outcome
    expected: frozenset[Outcome] = OK  # these need no cause
    process: str = ""  # the prefix of ids from its worker, or "" if unknown
    reused: bool = False  # the connection has carried a request before
    version: str = ""  # the version that answered
    asked_for: str = ""  # the only version that may answer, current or not
    off: float = 0.0  # largest difference from the probabilities of this version for the image
    answers: int = 1
    retry_after: bool = True  # whether a 503 has the header
    detail: str = ""


@dataclass
class Fault:
    kind: str
    began: float
    ended: float = math.inf
    pid: int | None = None  # of the only worker that it affects
    detail: str = ""


@dataclass(frozen=True)
class Change:
    """The current version changed at some time within the interval.

    answered   according to the response, all workers serve it
    followed   the store names it, and the workers follow
    unknown    the response was lost: the switch may or may not have happened, then or later
    """

    version: str
    began: float
    ended: float
    how: How


@dataclass(frozen=True)
class Death:
    pid: int
    worker: int
    at: float


@dataclass(frozen=True)
class Probe:
    """The fastest of several connections to /livez."""

    began: float
    seconds: float


@dataclass(frozen=True)
class Fall:
    """A counter that decreased."""

    at: float
    series: str
    before: float
    after: float


@dataclass(frozen=True)
class Resources:
    """Of one process, or the maximum of several."""

    resident: int  # bytes
    descriptors: int
    threads: int


@dataclass(frozen=True)
class End:
    signal: str
    seconds: float  # from the signal until the last process ended
    allowed: float
    code: int


@dataclass
class History:
    first: str  # the version that is current before any change
    requests: list[Request] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    deaths: list[Death] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    falls: list[Fall] = field(default_factory=list)
    lags: list[Probe] = field(default_factory=list)  # times and delays of the load generator itself
    processes: dict[str, int] = field(default_factory=dict)  # prefix of ids -> process
    log: list[str] = field(default_factory=list)  # lines of the log that must not occur
    recovered: float | None = 0.0  # seconds until all workers were ready again, or None
    calm_since: float = math.inf  # from then on nothing may fail
    before: dict[str, Resources] = field(default_factory=dict)
    after: dict[str, Resources] = field(default_factory=dict)
    end: End | None = None

    @contextmanager
    def fault(self, kind: str, *, pid: int | None = None, detail: str = "") -> Iterator[Fault]:
        fault = Fault(kind, time.monotonic(), pid=pid, detail=detail)
        self.faults.append(fault)
        try:
            yield fault
        finally:
            fault.ended = time.monotonic()
