"""What happened in a run: requests, faults, switches, deaths of workers, looks from outside.

All times are seconds of `time.monotonic` in the one process that generates the load, so they can be
compared. A request begins before its first byte is sent and ends when its answer has been read:
the service's own instants lie between.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

# An answer's status, or: refused (no connection), reset, closed (before the answer was whole),
# silent (no answer while the client was patient), not taken (pipelined, and the answer before it
# said that the connection ends).
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
    expected: frozenset[Outcome] = OK  # these need no reason
    process: str = ""  # how the ids begin that its worker gives out; "": nobody knows which it is
    reused: bool = False  # the connection had carried a request before
    version: str = ""  # that answered
    asked_for: str = ""  # the only version that may answer, current or not
    off: float = (
        0.0  # largest distance from the probabilities that this version has for the picture
    )
    answers: int = 1
    retry_after: bool = True  # whether an answer 503 had the header
    detail: str = ""


@dataclass
class Fault:
    kind: str
    began: float
    ended: float = math.inf
    pid: int | None = None  # of the worker that it concerns alone
    detail: str = ""


@dataclass(frozen=True)
class Change:
    """The current version became another one, at some instant of the time that is given.

    answered   the response said that all workers serve it
    followed   the store says so, and the workers follow
    unknown    the answer was lost: it may or may not have happened, then or later
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
    """The fastest of some connections to /livez."""

    began: float
    seconds: float


@dataclass(frozen=True)
class Fall:
    """A counter that fell."""

    at: float
    series: str
    before: float
    after: float


@dataclass(frozen=True)
class Resources:
    """Of one process, or the largest of several."""

    resident: int  # bytes
    descriptors: int
    threads: int


@dataclass(frozen=True)
class End:
    signal: str
    seconds: float  # from the signal until the last process had ended
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
    lags: list[Probe] = field(default_factory=list)  # how late the generator itself was, and when
    processes: dict[str, int] = field(default_factory=dict)  # how ids begin -> process
    log: list[str] = field(default_factory=list)  # lines of the service's log that must not be
    recovered: float | None = 0.0  # seconds until all workers were ready again; None: never
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
