"""Rounds with round numbers, from which results can be checked by hand."""

from loadtest.bench.limits import Limits
from loadtest.bench.measure import Measured, Visit
from loadtest.bench.results import Round
from loadtest.client.result import Load
from loadtest.host.processes import Memory

MB = 1 << 20
MEMORY = Memory(processes=2, resident=100 * MB, proportional=80 * MB, largest=60 * MB)


def measured(
    connections: int,
    rate: float,
    cpu: float,
    p50: float = 0.001,
    posted: str = "images",
    client: float = 0.25,
    refused: int = 0,
    broken: int = 0,
) -> Measured:
    load = Load(
        connections=connections,
        seconds=2.0,
        answers=int(rate * 2),
        refused=refused,
        broken=broken,
        p50=p50,
        p99=3 * p50,
        slowest=1.0,
        client_cpu=client * 2.0,
    )
    return Measured(posted, load, cpu, others=0.1)


def visited(target: str, *loads: Measured, right: int | None = 99, skipped: str = "") -> Visit:
    return Visit(target, right, 100, MEMORY, MEMORY, list(loads), skipped)


def one_round(cost: float) -> Round:
    """A round in which an answer of the service takes `cost` seconds of CPU."""
    return Round(
        Limits(decode=10e-6, network=20e-6, network_alone=30e-6),
        [
            visited(
                "echo",
                measured(64, 20_000, 30e-6),
                measured(1, 5_000, 90e-6, p50=0.0002),
                right=None,
            ),
            visited(
                "service",
                measured(64, 5_000, cost, refused=1),
                measured(1, 1_000, 300e-6, p50=0.0005),
                measured(4, 500, 0.002, posted="batches"),
            ),
            visited("mosec", measured(64, 10_000, 60e-6)),
            visited("mosec", measured(1, 2_000, 90e-6)),
        ],
    )
