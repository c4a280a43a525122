"""The results as one text: for the terminal, and with their conditions for docs/benchmarks/."""

from loadtest.bench_scale.results import Medians, Needed, Results
from loadtest.report import document
from loadtest.report.document import Columns
from loadtest.report.slo import shown_seconds

HOW = """\
A closed loop sends test images as fast as they are answered. CPU time, user and system, is that of
all processes of a part, read from /proc before and after the load and divided by the answers; with
several replicas it is their sum. Throughput is that of this machine with all parts on it: where
they share cores, more replicas cannot be faster, and only the CPU times carry over."""

COMPUTED = """\
**Computed, not measured**: {headroom:.0%} of the CPU time is left unused, and one replica and one
balancer are spare. A replica has {replica}, a balancer {balancer}. Memory is what the processes had
in this run; the limits of containers are higher. One HAProxy with the shipped configuration knows
at most 32 replicas: beyond that, replicas need more cores and workers each, or balancers a part of
the replicas each. Several balancers need DNS, anycast or a layer-4 balancer before them, which is
not included."""


def plain(results: Results) -> str:
    measured = document.table(results.medians, MEASURED)
    needed = document.table(results.needed, NEEDED)
    return document.paragraphs(
        document.as_text(measured), "Computed, not measured:", document.as_text(needed)
    )


def markdown(results: Results) -> str:
    placements = "; ".join(
        f"{number} replicas: {placement}" for number, placement in results.placements.items()
    )
    more = {"placement": placements, "rounds": f"{len(results.rounds)}, medians are shown"}
    computed = COMPUTED.format(
        headroom=results.margin.headroom,
        replica=_cores(results.sizes.replica),
        balancer=_cores(results.sizes.balancer),
    )
    return document.paragraphs(
        "# Replicas behind a balancer, measured",
        "Written by `make bench-scale`; the next run replaces it.",
        document.conditions(results.conditions, more, ours="DIGITSERVE_THREADS=1"),
        HOW,
        document.as_markdown(document.table(results.medians, MEASURED)),
        computed,
        document.as_markdown(document.table(results.needed, NEEDED)),
    )


def _cores(number: int) -> str:
    return "1 core" if number == 1 else f"{number} cores"


def _microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} us"


MEASURED: Columns[Medians] = {
    "replicas": lambda each: f"{each.replicas}{'' if each.balanced else ', no balancer'}",
    "req/s": lambda each: f"{each.rate:,.0f}",
    "p50": lambda each: shown_seconds(each.p50),
    "p99": lambda each: shown_seconds(each.p99),
    "CPU of replicas": lambda each: _microseconds(each.replica_cpu),
    "of the balancer": lambda each: _microseconds(each.balancer_cpu) if each.balanced else "",
    "of the client": lambda each: _microseconds(each.client_cpu),
    "memory of a replica": lambda each: f"{each.replica_memory / 2**20:.0f} MiB",
    "of the balancer ": lambda each: (
        f"{each.balancer_memory / 2**20:.0f} MiB" if each.balanced else ""
    ),
}

NEEDED: Columns[Needed] = {
    "for, req/s": lambda each: f"{each.rate:,.0f}",
    "replicas": lambda each: f"{each.replicas:,}",
    "balancers": lambda each: f"{each.balancers:,}",
    "cores": lambda each: f"{each.cores:,}",
    "memory": lambda each: f"{each.memory / 2**30:.1f} GiB",
}
