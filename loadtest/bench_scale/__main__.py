"""Throughput of replicas behind HAProxy, CPU time a request: python -m loadtest.bench_scale

Starts the service on addresses of its own (127.0.0.11, ...) and HAProxy with the shipped
configuration before them, and computes from the CPU time of each what larger rates take. Needs
Linux, haproxy, and a model version, as `make export` makes one. DIGITSERVE_ variables are passed on
to the service.

    python -m loadtest.bench_scale                      about two minutes
    python -m loadtest.bench_scale --rate 25000 --balancer-cores 4

Exits with 1 if it cannot measure.
"""

import os
import sys
from argparse import ArgumentParser, Namespace

from loadtest.arguments import (
    add_files,
    number_between,
    parse,
    parser,
    share_between,
    whole_number,
)
from loadtest.bench.measure import Tool, add_load
from loadtest.bench_scale import report
from loadtest.bench_scale.measure import Measured, Placement, measure
from loadtest.bench_scale.results import Results, Sizes
from loadtest.capacity.results import HEADROOM, Margin
from loadtest.client.requests import SampleImages
from loadtest.errors import CannotMeasure
from loadtest.host.machine import Conditions, on_linux, settings_handed_on
from loadtest.target import targets

RATES = (10_000.0, 100_000.0, 1_000_000.0)  # requests a second


def main(words: list[str] | None = None) -> int:
    arguments = parse(_parser(), words)
    try:
        results = bench(arguments)
    except CannotMeasure as error:
        print(f"bench_scale: {error}", file=sys.stderr)
        return 1
    print(f"\n{report.plain(results)}", end="")
    if arguments.json:
        arguments.json.write_text(results.json())
    if arguments.markdown:
        arguments.markdown.write_text(report.markdown(results))
    return 0


def bench(arguments: Namespace) -> Results:
    on_linux()
    images = SampleImages.of_current(arguments.models, arguments.name)
    tool = Tool.found(arguments.client)
    counts = range(1, arguments.replicas + 1)
    cores = sorted(os.sched_getaffinity(0))
    placements = {number: Placement.of(cores, number) for number in counts}
    conditions = Conditions.now(
        command=arguments.command,
        pinned="see placement",
        client=f"{tool.name}, {arguments.connections} connections",
        model=images.folder,
    )
    rounds = [_round(arguments, images.requests, tool, placements) for _ in range(arguments.rounds)]
    margin, sizes = Margin(arguments.headroom), Sizes(balancer=arguments.balancer_cores)
    rates = tuple(arguments.rate or RATES)
    return Results(conditions, placements, rounds, rates, margin, sizes)


def _round(
    arguments: Namespace, requests: list[bytes], tool: Tool, placements: dict[int, Placement]
) -> list[Measured]:
    """One replica without a balancer, then 1, 2, ... behind one."""
    settings = targets.ON_ONE_CORE | settings_handed_on()
    target = targets.service(arguments.models, arguments.name, settings)
    found = []
    for number, balanced in ((1, False), *((number, True) for number in placements)):
        done = measure(
            target,
            requests,
            tool,
            placements[number],
            replicas=number,
            balanced=balanced,
            connections=arguments.connections,
            seconds=arguments.seconds,
        )
        print(f"{number} replicas, {'balanced' if balanced else 'direct'}: {done.load.rate:,.0f}/s")
        found.append(done)
    return found


def _parser() -> ArgumentParser:
    made = parser("loadtest.bench_scale", __doc__)
    add, count = made.add_argument, whole_number(1)
    add_load(made)
    add("--rounds", type=count, default=3, metavar="N", help="number of rounds; default: 3")
    add("--replicas", type=count, default=3, metavar="N", help="at most; default: 3")
    add("--connections", type=count, default=64, metavar="N", help="of the client; default: 64")
    target = "compute what so many requests a second take; may be given several times"
    add("--rate", type=number_between(1), action="append", help=target)
    unused = f"share of the CPU time that is left unused; default: {HEADROOM:.0%}%"
    add("--headroom", type=share_between(0, 0.99), default=HEADROOM, metavar="SHARE", help=unused)
    cores = "cores of each balancer that is computed; default: 8"
    add("--balancer-cores", type=count, default=8, metavar="N", help=cores)
    add_files(made)
    return made


if __name__ == "__main__":
    sys.exit(main())
