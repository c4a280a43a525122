"""What the rounds of a bench show together.

Each ratio is taken within a round, then the median of the rounds.
"""

import statistics
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Self

from loadtest.bench.limits import Limits
from loadtest.bench.measure import (
    BATCH,
    BATCH_CONNECTIONS,
    BATCHES,
    DRAWINGS,
    IMAGES,
    Measured,
    Visit,
)
from loadtest.bench.overload import Overload
from loadtest.bench.scrape import Scrapes
from loadtest.host.machine import Conditions
from loadtest.report.document import as_json
from loadtest.target.targets import CROWD, FEW, MANY, ONE, TUNED, TWO

BUSY = 0.9  # share of its core from which on the client may be what was measured


class NotMeasured(Exception):
    """A round does not hold what a ratio needs."""


@dataclass(frozen=True)
class Round:
    limits: Limits | None
    visits: list[Visit]

    def pair(self, target: str, posted: str, connections: int) -> tuple[Visit, Measured] | None:
        for visit in self.visits:
            found = visit.of(posted, connections)
            if visit.target == target and found:
                return visit, found
        return None

    def of(self, target: str, connections: int = MANY, posted: str = IMAGES) -> Measured:
        if pair := self.pair(target, posted, connections):
            return pair[1]
        raise NotMeasured

    @property
    def cost(self) -> Limits:
        if self.limits is None:
            raise NotMeasured
        return self.limits


Ratio = Callable[[Round], float]  # NotMeasured or ZeroDivisionError where there is none


@dataclass(frozen=True)
class Spread:
    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        ordered = sorted(values)
        return cls(statistics.median(ordered), ordered[0], ordered[-1])


@dataclass(frozen=True)
class Row:
    """One target under one load, over all rounds."""

    target: str
    posted: str
    connections: int
    rounds: list[tuple[Visit, Measured]]

    def of_load(self, value: Callable[[Measured], float]) -> Spread:
        return Spread.of(value(measured) for _, measured in self.rounds)

    def of_visit(self, value: Callable[[Visit], float]) -> Spread:
        return Spread.of(value(visit) for visit, _ in self.rounds)

    @property
    def client(self) -> float:
        """Share of its core that the client took, median."""
        return self.of_load(lambda each: each.load.client_cpu / each.load.seconds).median

    @property
    def refused(self) -> int:
        return sum(measured.load.refused for _, measured in self.rounds)

    @property
    def broken(self) -> int:
        return sum(measured.load.broken for _, measured in self.rounds)

    @property
    def right(self) -> int | None:
        """Of the images that it was sent, in the worst round; None without digits."""
        found = (visit.right for visit, _ in self.rounds)
        return min((right for right in found if right is not None), default=None)

    @property
    def images(self) -> int:
        return self.rounds[0][0].images


@dataclass(frozen=True)
class Results:
    conditions: Conditions
    rounds: list[Round]
    scrapes: list[Scrapes]  # by number of workers
    overload: Overload | None
    peers: dict[str, str]  # those that were installed, and their versions
    missing: dict[str, str]  # peers that could not be measured, and why

    @property
    def skipped(self) -> list[str]:
        """Why something was not measured, each reason once."""
        reasons = (visit.skipped for each in self.rounds for visit in each.visits)
        peers = [f"{name}: {why}" for name, why in self.missing.items()]
        return [*sorted({reason for reason in reasons if reason}), *peers]

    @property
    def remarks(self) -> list[str]:
        return remarks(rows(self.rounds))

    def json(self) -> str:
        overload = self.overload
        document = {
            "conditions": self.conditions,
            "rounds": self.rounds,
            "ratios": ratios(self.rounds, self.peers),
            "scrapes": self.scrapes,
            "overload": asdict(overload) | {"kept": overload.kept} if overload else None,
            "peers": self.peers,
            "skipped": self.skipped,
            "remarks": self.remarks,
        }
        return as_json(document)


def rows(rounds: list[Round]) -> list[Row]:
    keys = [
        (visit.target, each.posted, each.connections)
        for visit in (rounds[0].visits if rounds else [])
        for each in visit.measured
    ]
    return [Row(*key, [pair for each in rounds if (pair := each.pair(*key))]) for key in keys]


def ratios(rounds: list[Round], peers: Iterable[str] = ()) -> dict[str, Spread]:
    """By name, the ratios that the service is judged by; only what was measured."""
    wanted: dict[str, Ratio] = {
        "limit's CPU / service's CPU, 64 connections": _limit_over("echo"),
        "the same with uvicorn's echo": _limit_over("echo, under uvicorn"),
        "req/s / those of decoder and network alone, 64 connections": lambda each: (
            each.of("service").load.rate * (each.cost.decode + each.cost.network)
        ),
        "p99 / p50, 64 connections": lambda each: (
            each.of("service").load.p99 / each.of("service").load.p50
        ),
        "p50 above the echo's, 1 connection, us": lambda each: (
            (each.of("service", ONE).load.p50 - each.of("echo", ONE).load.p50) * 1e6
        ),
        "images/s in batches of 64 / network's alone": lambda each: (
            each.of("service", BATCH_CONNECTIONS, BATCHES).load.rate * BATCH * each.cost.network
        ),
    }
    peers = list(peers)
    if "mosec" in peers:
        for connections in (MANY, FEW, CROWD, ONE):
            name = f"service's req/s / the better mosec's, {_plural(connections)}"
            wanted[name] = _rate_over_best("mosec", connections)
        wanted["service's req/s / mosec's, 2 workers each"] = lambda each: (
            each.of(f"service{TWO}").load.rate / each.of(f"mosec{TWO}").load.rate
        )
    if "fastapi" in peers:
        wanted["service's p50 / fastapi's, 1 connection"] = lambda each: (
            each.of("service", ONE).load.p50 / each.of("fastapi", ONE).load.p50
        )
    for peer in peers:
        wanted[f"service's req/s / {peer}'s, drawings"] = _rate_over(peer, MANY, DRAWINGS)
        wanted[f"service's req/s / {peer}'s, 64 connections"] = _rate_over(peer, MANY)
        wanted[f"service's req/s / {peer}'s, 1 connection"] = _rate_over(peer, ONE)
        wanted[f"the same if {peer}{TUNED}"] = _rate_over(f"{peer}{TUNED}", ONE)
        wanted[f"service's CPU a request / {peer}'s, 64 connections"] = _cpu_over(peer)
    spreads = {name: _over(rounds, ratio) for name, ratio in wanted.items()}
    return {name: spread for name, spread in spreads.items() if spread}


def rate_over(rounds: list[Round], peer: str) -> Spread | None:
    """The service's answers a second over a peer's, over MANY connections."""
    return _over(rounds, _rate_over(peer, MANY))


def _over(rounds: list[Round], ratio: Ratio) -> Spread | None:
    values = []
    for each in rounds:
        with suppress(NotMeasured, ZeroDivisionError):
            values.append(ratio(each))
    return Spread.of(values) if values else None


def _limit_over(echo: str) -> Ratio:
    return lambda each: (
        (each.of(echo).cpu + each.cost.decode + each.cost.network) / each.of("service").cpu
    )


def _rate_over(peer: str, connections: int, posted: str = IMAGES) -> Ratio:
    return lambda each: (
        each.of("service", connections, posted).load.rate
        / each.of(peer, connections, posted).load.rate
    )


def _rate_over_best(peer: str, connections: int) -> Ratio:
    """Over that of its configuration that answers more."""
    both = _rate_over(peer, connections), _rate_over(f"{peer}{TUNED}", connections)
    return lambda each: min(ratio(each) for ratio in both)


def _cpu_over(peer: str) -> Ratio:
    return lambda each: each.of("service").cpu / each.of(peer).cpu


def remarks(rows: list[Row]) -> list[str]:
    return [*_busy_clients(rows), *_failing(rows), *_misreaders(rows)]


def _busy_clients(rows: list[Row]) -> list[str]:
    return [
        f"The client was the bottleneck: {row.target}, {row.posted}, {_connections(row)}: it took "
        f"{row.client:.0%} of its own core, so the server may do more than was measured."
        for row in rows
        if row.client > BUSY
    ]


def _failing(rows: list[Row]) -> list[str]:
    """A refusal is an answer too, and a quick one."""
    return [
        f"Not everything was answered with 200: {row.target}, {row.posted}, {_connections(row)}: "
        f"{row.refused:,} refused, {row.broken:,} broken; refusals count in its req/s too."
        for row in rows
        if row.refused or row.broken
    ]


def _misreaders(rows: list[Row]) -> list[str]:
    """A target that reads fewer images right than the service does not do the same work."""
    right = {row.target: row.right for row in rows if row.right is not None}
    images = {row.target: row.images for row in rows}
    ours = right.get("service")
    return [
        f"Not the same work: {target} reads {theirs} of {images[target]} images right, the "
        f"service {ours}."
        for target, theirs in right.items()
        if ours is not None and theirs < ours
    ]


def _connections(row: Row) -> str:
    return _plural(row.connections)


def _plural(connections: int) -> str:
    return "1 connection" if connections == 1 else f"{connections} connections"
