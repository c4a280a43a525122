"""How much a service carries, and how many of it a rate needs: python -m loadtest.capacity

Finds the highest rate of requests at which the promise holds (--p99, --errors). Requests are
independent of the answers: Poisson arrivals, each sent whether or not the server has answered those
before, and timed from when it was due. Needs a model version, as `make export` makes one. Starts
the service on a core of its own; DIGITSERVE_ variables are passed on to it.

    python -m loadtest.capacity                                       about five minutes
    python -m loadtest.capacity --rate 10000 --rate 50000             replicas and cores for these
    python -m loadtest.capacity --p99 20ms --errors 0.5%
    python -m loadtest.capacity --seconds 2 --repeat 3                a rough estimate
    python -m loadtest.capacity --url http://127.0.0.1:8000           one that runs already

Exit code: 0 if a rate was found at which the promise holds, 1 if it holds at none or something
keeps it from being measured.
"""

import itertools
import os
import signal
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from statistics import median_low

from loadtest import arguments as kinds
from loadtest.capacity import report
from loadtest.capacity.probe import Plan, Probe, prober, subject_of
from loadtest.capacity.results import BALANCER_CPU, HEADROOM, SPARE, Margin, Results
from loadtest.capacity.search import Found, Ladder, search
from loadtest.client.openloop.generator import CONNECTIONS, allow_connections
from loadtest.client.requests import SampleImages, answered_right, requests_of
from loadtest.errors import CannotMeasure
from loadtest.host.machine import Conditions, Placement, settings_handed_on
from loadtest.report.slo import Slo
from loadtest.target import targets
from loadtest.target.targets import Target

AUTO = Path("auto")  # docs/benchmarks/capacity-<machine>.md
FEWEST = 100  # requests of a probe: of fewer there is no p99
WORKERS = "DIGITSERVE_WORKERS"
CLIENT = "an open loop of Python and epoll, generators: {}"
NOW = "default: %(default)s"


def main(words: list[str] | None = None) -> int:
    parser = _parser()
    arguments = kinds.parse(parser, words)
    if arguments.first > arguments.most:
        parser.error(f"--from {arguments.first:g} is above --most {arguments.most:g}")
    if arguments.url and arguments.workers:
        parser.error("--workers is for a service that is started here, and --url for another")
    try:
        if arguments.rules:
            report.capacity_in(arguments.rules)
        results = capacity(arguments)
    except CannotMeasure as error:
        print(f"capacity: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ncapacity: stopped, nothing is written", file=sys.stderr)
        return 128 + signal.SIGINT
    print(f"\n{report.plain(results)}", end="")
    if arguments.json:
        arguments.json.write_text(results.json())
    if path := arguments.markdown:
        path = report.path_for(results.conditions) if path == AUTO else path
        path.write_text(report.markdown(results))
        print(f"\nwritten: {path}")
    if arguments.rules and results.interval.high:
        report.write_capacity(arguments.rules, results)
        print(f"written: {arguments.rules}, which Prometheus reads again on SIGHUP")
    return 0 if results.interval.high else 1


def capacity(arguments: Namespace) -> Results:
    allow_connections(arguments.connections)
    images = SampleImages.of_current(arguments.models, arguments.name)
    settings = {} if arguments.url else _settings(arguments)
    workers = settings.get(WORKERS, "0")
    if not workers.isdecimal():
        raise CannotMeasure(f"{WORKERS}={workers} is not a number of processes")
    placement = Placement.of(workers=int(workers), generators=arguments.generators)
    conditions = Conditions.now(
        command=arguments.command,
        pinned=placement,
        client=CLIENT.format(arguments.generators),
        model=images.folder,
        settings={} if arguments.url else None,
    )
    slo = Slo(arguments.p99, arguments.errors)
    plan = Plan(slo, arguments.seconds, arguments.warm_up, arguments.connections, placement)
    print(f"{conditions.processor}; {placement}; promised: {slo}", flush=True)
    target = targets.service(arguments.models, arguments.name, settings)
    searches, left_out = _searches(arguments, plan, target, images)
    margin = Margin(arguments.headroom, arguments.spare, arguments.balancer_cpu)
    return Results(conditions, plan, searches, tuple(arguments.rate), margin, left_out)


def _searches(
    arguments: Namespace, plan: Plan, target: Target, images: SampleImages
) -> tuple[list[Found[Probe]], int]:
    """The searches, and how many images are misread without load."""
    least = FEWEST / arguments.seconds
    ladder = Ladder(arguments.first, arguments.resolution, least, arguments.most)
    requests = requests_of(images, os.environ.get("API_KEY"))
    seeds = itertools.count(arguments.seed * 1_000_000).__next__
    done: list[Found[Probe]] = []
    for number in range(1, arguments.repeat + 1):
        print(f"search {number} of {arguments.repeat}", flush=True)
        with subject_of(arguments.url, target, plan.placement, requests[0].data) as subject:
            right = answered_right(subject.address, requests)
            probe = prober(subject, right, plan, seeds)
            known = median_low(found.rung for found in done) if done else None
            done.append(search(probe, plan.slo, ladder, known=known))
    return done, len(requests) - len(right)


def _settings(arguments: Namespace) -> dict[str, str]:
    """The command line has precedence over the environment, and both over the defaults."""
    settings = targets.ON_ONE_CORE | {WORKERS: "1"} | settings_handed_on()
    return settings | ({WORKERS: str(arguments.workers)} if arguments.workers else {})


def _parser() -> ArgumentParser:
    parser = kinds.parser("loadtest.capacity", __doc__)
    slo, rate, count = Slo(), kinds.number_between(0.1), kinds.whole_number(1)
    add = parser.add_argument_group("what is promised").add_argument
    add("--p99", type=kinds.seconds, default=slo.p99, metavar="TIME", help="default: 50ms")
    add("--errors", type=kinds.fraction, default=slo.errors, metavar="SHARE", help="default: 0.1%%")

    add = parser.add_argument_group("how the capacity is searched for").add_argument
    length, warm_up = "length of a probe; default: 5s", f"before a probe; {NOW}"
    add("--seconds", type=kinds.seconds, default=5.0, metavar="TIME", help=length)
    not_less = kinds.number_between(0)
    add("--warm-up", type=not_less, default=1.0, metavar="SECONDS", help=warm_up)
    add("--repeat", type=count, default=6, metavar="N", help=f"number of searches; {NOW}")
    step, share = "difference of successive rates; default: 3%%", kinds.share_between
    add("--resolution", type=share(0.001, 1), default=0.03, metavar="SHARE", help=step)
    first = f"first rate, in requests a second; {NOW}"
    add("--from", dest="first", type=rate, default=500.0, metavar="RATE", help=first)
    most = f"highest rate, in requests a second; {NOW}"
    add("--most", type=rate, default=100_000.0, metavar="RATE", help=most)
    processes = f"processes that send requests, each on its own core; {NOW}"
    add("--generators", type=count, default=1, metavar="N", help=processes)
    bound = f"most connections of a generator; further requests wait; {NOW}"
    add("--connections", type=count, default=CONNECTIONS, metavar="N", help=bound)
    seed = kinds.whole_number(0)
    add("--seed", type=seed, default=0, metavar="N", help=f"seed of the arrivals; {NOW}")

    add = parser.add_argument_group("how many replicas carry a rate").add_argument
    target = "target, in requests a second; may be given several times"
    add("--rate", type=kinds.number_between(0), action="append", default=[], help=target)
    unused = f"share of the capacity that is left unused; default: {HEADROOM:.0%}%"
    add("--headroom", type=share(0, 0.99), default=HEADROOM, metavar="SHARE", help=unused)
    spare = f"replicas beyond those that the rate needs; {NOW}"
    add("--spare", type=kinds.whole_number(0), default=SPARE, metavar="N", help=spare)
    balancer = f"CPU time of the balancer a request; default: {BALANCER_CPU * 1e6:.0f}us"
    add("--balancer-cpu", type=kinds.seconds, default=BALANCER_CPU, metavar="TIME", help=balancer)

    add = parser.add_argument_group("what is measured").add_argument
    running = (
        "http://host:port of a service that runs, with the same model; default: one is started "
        "for each search. Its API_KEY is taken from the environment"
    )
    add("--url", help=running)
    workers = (
        "of the service that is started, each on its own core; default: DIGITSERVE_WORKERS, or 1"
    )
    add("--workers", type=count, metavar="N", help=workers)
    rules = "recording rules of Prometheus in which the capacity of a replica is replaced"
    add("--rules", type=Path, metavar="FILE", help=rules)
    kinds.add_files(parser, markdown="; auto: docs/benchmarks/capacity-<machine>.md")
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # ends the server too
    sys.exit(main())
