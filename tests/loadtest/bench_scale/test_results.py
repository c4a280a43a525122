"""From the CPU time of a request to replicas and balancers, and the report of both."""

from loadtest.bench_scale import report
from loadtest.bench_scale.measure import Measured, Placement
from loadtest.bench_scale.results import Medians, Results, Sizes, needed
from loadtest.capacity.results import Margin
from loadtest.client.result import Load
from loadtest.host.machine import Conditions

CONDITIONS = Conditions.now(command="c", pinned="p", client="o", model="m", settings={})


def measured(replicas: int, *, balanced: bool = True) -> Measured:
    """A replica takes 70 us a request and the balancer 35 us."""
    return Measured(
        replicas=replicas,
        balanced=balanced,
        load=Load(64, 5.0, 50_000, 0, 0, p50=0.004, p99=0.01, slowest=0.02, client_cpu=0.5),
        replica_cpu=70e-6,
        balancer_cpu=35e-6 if balanced else 0.0,
        replica_memory=100 * 2**20,
        balancer_memory=50 * 2**20 if balanced else 0,
    )


def test_a_rate_takes_replicas_and_balancers_with_a_spare_of_each() -> None:
    found = needed(100_000, Medians.of([measured(3)]), Margin(0.3), Sizes(replica=1, balancer=8))
    assert found.replicas == 10 + 1  # 10,000 a second of each core
    assert found.balancers == 1 + 1  # 160,000 a second of eight cores
    assert found.cores == 11 + 2 * 8
    assert found.memory == (11 * 100 + 2 * 50) * 2**20


def test_the_report_says_what_is_computed() -> None:
    cores = tuple(range(2))
    rounds = [[measured(1, balanced=False), measured(1), measured(2)]]
    placements = {number: Placement.of(cores, number) for number in (1, 2)}
    found = Results(CONDITIONS, placements, rounds, (1e6,), Margin(), Sizes())
    text = report.markdown(found)
    assert "| 1, no balancer | 10,000 |" in text
    assert "all programs share 2 cores" in text
    assert text.index("Computed, not measured") < text.index("| 1,000,000 | 101 | 8 |")


def test_a_replica_has_a_core_of_its_own_where_there_are_enough() -> None:
    placement = Placement.of(range(8), 3)
    assert [placement.of_replica(number) for number in range(3)] == [(0,), (1,), (2,)]
    assert (placement.balancer, placement.client) == ((3,), (4, 5, 6, 7))
    assert Placement.of(range(4), 3).shared
