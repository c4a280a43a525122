"""How much a service carries, and how many of it a rate needs: python -m loadtest.capacity

Finds the highest rate of requests at which the promise holds (--p99, --errors), with requests that
come when they come: Poisson arrivals, sent whether or not the server has answered those before, and
timed from when they were due. Needs a model version, as `make export` makes one. Starts the service
on a core of its own; DIGITSERVE_ variables are handed on to it.

    python -m loadtest.capacity                                       about five minutes
    python -m loadtest.capacity --rate 10000 --rate 50000             replicas and cores for these
    python -m loadtest.capacity --p99 20ms --errors 0.5%
    python -m loadtest.capacity --seconds 2 --repeat 3                a first look
    python -m loadtest.capacity --url http://127.0.0.1:8000           one that runs already

Ends with 0 if a rate was found at which the promise holds, with 1 if it holds at none or something
keeps it from being measured.
"""

import itertools
import os
import signal
import sys
from argparse import ArgumentParser, Namespace
from contextlib import AbstractContextManager, nullcontext
from statistics import median_low

from loadtest.capacity import report
from loadtest.capacity.options import AUTO, parser
from loadtest.capacity.probe import Probe
from loadtest.capacity.prober import Plan, prober
from loadtest.capacity.replicas import Margin
from loadtest.capacity.results import Results
from loadtest.capacity.search import Found, Ladder, search
from loadtest.capacity.subject import Subject, elsewhere, started_here
from loadtest.client.openloop.expectation import ExpectedRequest, answered_right, requests_of
from loadtest.client.openloop.realtime import allow_connections
from loadtest.client.requests import Pictures
from loadtest.errors import CannotMeasure
from loadtest.host.machine import Conditions, Placement, settings_handed_on
from loadtest.report.slo import Slo
from loadtest.target import targets
from loadtest.target.targets import Target

ASKED = 100  # requests of a probe at least: of fewer there is no p99
WORKERS = "DIGITSERVE_WORKERS"
CLIENT = "an open loop of Python and epoll, generators: {}"


def main(words: list[str] | None = None) -> int:
    words = sys.argv[1:] if words is None else words
    arguments = _checked(parser(__doc__), words)
    try:
        results = capacity(arguments, " ".join(["python -m loadtest.capacity", *words]))
    except CannotMeasure as error:
        print(f"capacity: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ncapacity: stopped, nothing is written", file=sys.stderr)
        return 128 + signal.SIGINT
    print(f"\n{report.plain(results)}")
    if arguments.json:
        arguments.json.write_text(results.json())
    if arguments.markdown:
        auto = arguments.markdown == AUTO
        path = report.path_for(results.conditions) if auto else arguments.markdown
        path.write_text(report.markdown(results))
        print(f"\nwritten: {path}")
    return 0 if results.interval.high else 1


def capacity(arguments: Namespace, command: str) -> Results:
    allow_connections(arguments.connections)
    pictures = Pictures.of_current(arguments.models, arguments.name)
    settings = {} if arguments.url else _settings(arguments)
    workers = settings.get(WORKERS, "0")
    if not workers.isdecimal():
        raise CannotMeasure(f"{WORKERS}={workers} is not a number of processes")
    placement = Placement.of(workers=int(workers), generators=arguments.generators)
    conditions = Conditions.now(
        command=command,
        pinned=str(placement),
        client=CLIENT.format(arguments.generators),
        model=str(pictures.folder),
        settings={} if arguments.url else settings_handed_on(),
    )
    plan = Plan(
        Slo(arguments.p99, arguments.errors),
        arguments.seconds,
        arguments.warm_up,
        arguments.connections,
        placement,
    )
    print(f"{conditions.processor}; {placement}; promised: {plan.slo}", flush=True)
    target = targets.service(arguments.models, arguments.name, settings)
    searches, left_out = _searches(arguments, plan, target, pictures)
    margin = Margin(arguments.headroom, arguments.spare)
    return Results(conditions, plan, searches, tuple(arguments.rate), margin, left_out)


def _searches(
    arguments: Namespace, plan: Plan, target: Target, pictures: Pictures
) -> tuple[list[Found[Probe]], int]:
    """And how many pictures are misread at rest."""
    ladder = Ladder(
        arguments.first, arguments.resolution, ASKED / arguments.seconds, arguments.most
    )
    requests = requests_of(pictures, os.environ.get("API_KEY"))
    seeds = itertools.count(arguments.seed * 1_000_000).__next__
    done: list[Found[Probe]] = []
    for number in range(1, arguments.repeat + 1):
        print(f"search {number} of {arguments.repeat}", flush=True)
        with _subject(arguments.url, target, plan, requests[0]) as subject:
            right = answered_right(subject.address, requests)
            probe = prober(subject, right, plan, seeds)
            known = median_low(found.rung for found in done) if done else None
            done.append(search(probe, plan.slo, ladder, known=known))
    return done, len(requests) - len(right)


def _subject(
    url: str | None, target: Target, plan: Plan, request: ExpectedRequest
) -> AbstractContextManager[Subject]:
    if url:
        return nullcontext(elsewhere(url))
    return started_here(target, plan.placement, request.data)


def _settings(arguments: Namespace) -> dict[str, str]:
    """What the user has set goes before our choice, the command line before the environment."""
    settings = targets.ON_ONE_CORE | {WORKERS: "1"} | settings_handed_on()
    return settings | ({WORKERS: str(arguments.workers)} if arguments.workers else {})


def _checked(options: ArgumentParser, words: list[str]) -> Namespace:
    """What argparse cannot check by itself, before minutes are spent."""
    arguments = options.parse_args(words)
    if arguments.first > arguments.most:
        options.error(f"--from {arguments.first:g} is above --most {arguments.most:g}")
    if arguments.url and arguments.workers:
        options.error("--workers is for a service that is started here, and --url for another")
    for path in (arguments.json, arguments.markdown):
        if path and not path.absolute().parent.is_dir():
            options.error(f"{path}: there is no folder {path.parent}")
    return arguments


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # ends the server too
    sys.exit(main())
