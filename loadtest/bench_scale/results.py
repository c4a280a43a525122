"""What was measured, and what larger rates take, computed from the CPU time of a request.

replica's rate = cores x (1 - headroom) / CPU time of a replica a request
replicas       = as many as the rate needs of those + the spare one
balancers      = the same with the balancer's CPU time and its cores
"""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from loadtest.bench_scale.measure import Measured, Placement
from loadtest.capacity.results import Margin, replicas
from loadtest.host.machine import Conditions
from loadtest.report.document import as_json


@dataclass(frozen=True)
class Sizes:
    """Of the machines that the computation assumes."""

    replica: int = 1  # cores
    balancer: int = 8  # cores


@dataclass(frozen=True)
class Needed:
    """Computed, not measured."""

    rate: float  # requests a second
    replicas: int
    balancers: int
    cores: int
    memory: int  # bytes


@dataclass(frozen=True)
class Medians:
    """Of the rounds, for one number of replicas."""

    replicas: int
    balanced: bool
    rate: float  # requests a second
    p50: float  # seconds
    p99: float
    replica_cpu: float  # seconds, an answer
    balancer_cpu: float
    client_cpu: float
    replica_memory: float  # bytes
    balancer_memory: float

    @classmethod
    def of(cls, rounds: Iterable[Measured]) -> "Medians":
        found = list(rounds)

        def median(value: Callable[[Measured], float]) -> float:
            return statistics.median(map(value, found))

        return cls(
            replicas=found[0].replicas,
            balanced=found[0].balanced,
            rate=median(lambda each: each.load.rate),
            p50=median(lambda each: each.load.p50),
            p99=median(lambda each: each.load.p99),
            replica_cpu=median(lambda each: each.replica_cpu),
            balancer_cpu=median(lambda each: each.balancer_cpu),
            client_cpu=median(lambda each: each.load.client_cpu / each.load.answers),
            replica_memory=median(lambda each: each.replica_memory),
            balancer_memory=median(lambda each: each.balancer_memory),
        )


@dataclass(frozen=True)
class Results:
    conditions: Conditions
    placements: dict[int, Placement]  # by number of replicas
    rounds: list[list[Measured]]
    rates: tuple[float, ...]  # targets
    margin: Margin
    sizes: Sizes

    @property
    def medians(self) -> list[Medians]:
        return [Medians.of(each) for each in zip(*self.rounds, strict=True)]

    @property
    def needed(self) -> list[Needed]:
        """For each target, from the run with the most replicas."""
        most = self.medians[-1]
        return [needed(rate, most, self.margin, self.sizes) for rate in self.rates]

    def json(self) -> str:
        return as_json(
            {
                "conditions": self.conditions,
                "placements": {str(n): str(each) for n, each in self.placements.items()},
                "medians": self.medians,
                "rounds": self.rounds,
                "computed": {
                    "margin": asdict(self.margin),
                    "sizes": asdict(self.sizes),
                    "needed": self.needed,
                },
            }
        )


def needed(rate: float, found: Medians, margin: Margin, sizes: Sizes) -> Needed:
    """The replicas and balancers for a rate, each with its spare."""
    servers = replicas(rate, sizes.replica / found.replica_cpu, margin, cores=sizes.replica)
    balancers = replicas(rate, sizes.balancer / found.balancer_cpu, margin, cores=sizes.balancer)
    return Needed(
        rate=rate,
        replicas=servers.count,
        balancers=balancers.count,
        cores=servers.count * sizes.replica + balancers.count * sizes.balancer,
        memory=round(
            servers.count * found.replica_memory + balancers.count * found.balancer_memory
        ),
    )
