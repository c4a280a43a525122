"""Check a history: what must not have happened, and what was lost for a reason that allows it.

* No answer is wrong: its probabilities are those of the version that it names for that image.
* No answer comes from a version that was not current at any time during its request.
* No request is answered twice.
* A request that is not answered as expected has a cause that allows this outcome: see CAUSES.
* A worker dies only of a fault; /livez answers; no counter decreases; 503 has a Retry-After.
* After the faults all workers serve again, nothing fails, memory, descriptors and threads are close
  to their former values, and the service stops in time.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tools.chaos.history import (
    OK,
    Change,
    Death,
    Fault,
    History,
    Outcome,
    Request,
    Resources,
)

TOLERANCE = 1e-4  # of probabilities; those of different versions differ by 0.06 or more
FOLLOW = 6.0  # seconds for all workers to load a version named by the store, on a busy machine
AFTER = 3.0  # seconds for which the effects of a fault may last after its end
SEEN = 0.5  # seconds between an event and its observation
LIVE = 3.0  # seconds to the answer of /livez, on a busy machine
LATE = 2.0  # seconds beyond REQUEST_TIMEOUT
DEADLY = {"kill", "terminate", "squeeze", "end"}
KEEPS_FROM_STARTING = {"damage", "loop", "greedy"}
HUNG = 29.0  # seconds after which a suspended worker is killed
# Faults during which a worker may not be able to load another version.
HOLDS_BACK = {"stop", "squeeze", "loop", "greedy", "damage", "kill", "terminate"}
# Images of 16 megapixels leave 130 MiB in the allocator, which does not grow.
GROWTH = Resources(resident=192 * 2**20, descriptors=24, threads=12)


@dataclass(frozen=True)
class Cause:
    why: str
    outcomes: frozenset[Outcome]
    clients: frozenset[str] = frozenset()  # only these, or all if empty
    reused: bool = False  # only on connections that have carried a request before


def _cause(why: str, *outcomes: Outcome, **only: object) -> Cause:
    return Cause(why, frozenset(outcomes), **only)  # type: ignore[arg-type]


_STORE = frozenset({"admin", "catalog"})
_OVERLOAD = _cause("overload: Retry-After, or too late", "503", "504")
# Kind of fault -> what it may cause. The effects of a death are checked by `_death`.
CAUSES: Mapping[str, tuple[Cause, ...]] = {
    "stop": (_cause("waited in a suspended worker", "408", "503", "504", "silent", "not taken"),),
    "terminate": (
        _cause("an idle connection that a draining worker closed", "closed", "reset", reused=True),
        _cause("the worker drains", "503", "not taken"),
    ),
    "squeeze": (
        _cause("no memory: Retry-After, or too late", "503", "504"),
        _cause("no memory to load a version", "409", clients=_STORE),
    ),
    "disk full": (_cause("the store cannot be written", "409", "503", clients=_STORE),),
    "damage": (_cause("the store is damaged", "404", "409", "503", "504", clients=_STORE),),
    "loop": (_cause("another switch is being made", "409", "503", "504", clients=_STORE),),
    "greedy": (_cause("another switch is being made", "409", "503", "504", clients=_STORE),),
    **dict.fromkeys(
        ("trickle", "flood", "hang up", "never read", "damaged", "long heads", "bombs", "bodies"),
        (_OVERLOAD,),
    ),
    "end": (
        _cause("the service ends", "503", "refused", "not taken"),
        _cause("an idle connection that closed at the end", "closed", "reset", reused=True),
    ),
}


@dataclass(frozen=True)
class Finding:
    at: float
    what: str


@dataclass
class Verdict:
    findings: list[Finding] = field(default_factory=list)
    lost: Counter[tuple[Outcome, str]] = field(default_factory=Counter)  # (outcome, cause) -> count
    answered: int = 0


def judge(history: History, *, request_timeout: float) -> Verdict:
    verdict = Verdict()
    periods = current_periods(history)
    for request in history.requests:
        verdict.findings += _answer(request, periods)
        if request.outcome in request.expected:
            verdict.answered += 1
            verdict.findings += _too_late(request, history, request_timeout)
        elif (cause := cause_of(request, history)) is None:
            verdict.findings.append(_unexplained(request))
        else:
            verdict.lost[request.outcome, cause] += 1
    for check in (_deaths, _probes, _falls, _recovery, _resources, _end):
        verdict.findings += check(history)
    verdict.findings.sort(key=lambda finding: finding.at)
    return verdict


# ---- answers -------------------------------------------------------------------------------------


def _answer(
    request: Request, periods: Mapping[str, list[tuple[float, float]]]
) -> Iterator[Finding]:
    """What is wrong with an answer, regardless of faults."""
    if request.answers > 1:
        yield Finding(request.ended, f"{request.client}: {request.answers} answers to one request")
    if request.outcome == "503" and not request.retry_after:
        yield Finding(request.ended, f"{request.client}: 503 without Retry-After")
    if not request.version:
        return
    if request.version not in periods and not request.asked_for:
        what = f"answered by version {request.version}"
    elif not request.off <= TOLERANCE:
        what = f"wrong by {request.off:.4f} for version {request.version}"
    elif request.asked_for and request.asked_for != request.version:
        what = f"answered by version {request.version}, asked for {request.asked_for}"
    elif not request.asked_for and not _was_current(request, periods):
        what = (
            f"answered by version {request.version}, which was not current in the "
            f"{request.ended - request.began:.3f} s of the request"
        )
    else:
        return
    yield Finding(request.ended, f"{request.client}: {what}")


def _was_current(request: Request, periods: Mapping[str, list[tuple[float, float]]]) -> bool:
    return any(
        since <= request.ended and request.began <= until
        for since, until in periods[request.version]
    )


def current_periods(history: History) -> dict[str, list[tuple[float, float]]]:
    """Version -> the intervals in which it may answer."""
    settled = [
        math.inf if each.how == "unknown" else _settled(each, history) for each in history.changes
    ]
    versions = [
        (history.first, -math.inf),
        *((each.version, each.began) for each in history.changes),
    ]
    periods: dict[str, list[tuple[float, float]]] = {}
    for place, (version, since) in enumerate(versions):
        later = [
            until
            for change, until in zip(history.changes[place:], settled[place:], strict=True)
            if change.version != version
        ]
        periods.setdefault(version, []).append((since, min(later, default=math.inf)))
    return periods


def _settled(change: Change, history: History) -> float:
    """The time from which on no worker serves the previous version."""
    if change.how == "answered":
        return change.ended
    until = change.ended + FOLLOW
    # A version that could not be loaded is retried after a delay that doubles.
    for fault in sorted(history.faults, key=lambda fault: fault.began):
        if (
            fault.kind in HOLDS_BACK
            and change.began - AFTER <= fault.ended
            and fault.began <= until
        ):
            until = max(until, fault.ended + (fault.ended - fault.began) + FOLLOW)
    return until


def _too_late(request: Request, history: History, request_timeout: float) -> Iterator[Finding]:
    """An answer that arrived, but later than promised."""
    took = request.ended - request.began
    allowed = request_timeout + LATE + _lag(history, request.began, request.ended)
    suspended = any(each.kind == "stop" for each in _faults_around(request, history))
    if request.expected == OK and request.client != "admin" and took > allowed and not suspended:
        yield Finding(request.ended, f"{request.client}: answered only after {took:.1f} s")


# ---- causes --------------------------------------------------------------------------------------


def cause_of(request: Request, history: History) -> str | None:
    """Why this outcome is allowed, or None if no event allows it."""
    for fault in _faults_around(request, history):
        for cause in CAUSES.get(fault.kind, ()):
            if (
                request.outcome in cause.outcomes
                and (not cause.clients or request.client in cause.clients)
                and (request.reused or not cause.reused)
                and _may_concern(request, fault.pid, history)
            ):
                return f"{fault.kind}: {cause.why}"
    if request.outcome in ("reset", "closed"):
        for death in history.deaths:
            near = request.began - SEEN <= death.at <= request.ended + SEEN
            if near and _may_concern(request, death.pid, history):
                killer = _killer(death, history)
                if killer is not None:
                    return f"{killer.kind}: its worker died"
    return None


def _faults_around(request: Request, history: History) -> Iterator[Fault]:
    for fault in history.faults:
        if fault.began - SEEN <= request.ended and request.began <= fault.ended + AFTER:
            yield fault


def _may_concern(request: Request, pid: int | None, history: History) -> bool:
    """Whether the request may have been served by that process; true if its process is unknown."""
    process = history.processes.get(request.process)
    return pid is None or process is None or process == pid


def _unexplained(request: Request) -> Finding:
    used = "used before" if request.reused else "new"
    detail = f" ({request.detail})" if request.detail else ""
    return Finding(
        request.ended,
        f"{request.client}: {request.outcome} after {request.ended - request.began:.2f} s on a "
        f"connection that was {used}{detail}, and no fault allows that",
    )


def _killer(death: Death, history: History) -> Fault | None:
    served = death.pid in history.processes.values()
    for fault in history.faults:
        during = fault.began - SEEN <= death.at <= fault.ended + SEEN
        if fault.kind in DEADLY and during and fault.pid in (None, death.pid):
            return fault
        # A start takes seconds, and reads the store at any of them.
        while_starting = fault.began - SEEN <= death.at <= fault.ended + AFTER
        if fault.kind in KEEPS_FROM_STARTING and while_starting and not served:
            return fault
        if fault.kind == "stop" and fault.pid == death.pid and death.at - fault.began > HUNG:
            return fault
    return None


# ---- observations from outside -------------------------------------------------------------------


def _deaths(history: History) -> Iterator[Finding]:
    for death in history.deaths:
        if _killer(death, history) is None:
            yield Finding(death.at, f"worker {death.worker} (process {death.pid}) died of no fault")


def _probes(history: History) -> Iterator[Finding]:
    for probe in history.probes:
        allowed = LIVE + _lag(history, probe.began, probe.began + probe.seconds)
        if probe.seconds > allowed:
            yield Finding(probe.began, f"/livez took {probe.seconds:.2f} s")


def _falls(history: History) -> Iterator[Finding]:
    for fall in history.falls:
        yield Finding(fall.at, f"{fall.series} fell from {fall.before:g} to {fall.after:g}")


def _lag(history: History, began: float, ended: float) -> float:
    """The delay of the load generator itself in this time."""
    return sum(
        lag.seconds
        for lag in history.lags
        if began <= lag.began + lag.seconds and lag.began <= ended
    )


def _recovery(history: History) -> Iterator[Finding]:
    if history.recovered is None:
        yield Finding(math.inf, "not all workers serve the current version again")
    for line in history.log:
        yield Finding(math.inf, f"in the log: {line}")
    for request in history.requests:
        calm = request.began >= history.calm_since
        ends = history.end is not None and any(
            each.kind == "end" and each.began <= request.ended for each in history.faults
        )
        if calm and not ends and request.outcome not in request.expected:
            yield Finding(request.ended, f"{request.client}: {request.outcome} after all faults")


def _resources(history: History) -> Iterator[Finding]:
    for process, after in history.after.items():
        before = history.before.get(process)
        if before is None:
            continue
        for name in ("resident", "descriptors", "threads"):
            grown = getattr(after, name) - getattr(before, name)
            if grown > getattr(GROWTH, name):
                yield Finding(
                    math.inf,
                    f"{process}: {name} {getattr(before, name):,} before and "
                    f"{getattr(after, name):,} after all faults",
                )


def _end(history: History) -> Iterator[Finding]:
    end = history.end
    if end is None:
        return
    if end.seconds > end.allowed:
        yield Finding(
            math.inf, f"{end.signal}: ended after {end.seconds:.1f} s, allowed are {end.allowed:g}"
        )
    if end.code != 0:
        yield Finding(math.inf, f"{end.signal}: exit code {end.code}")
