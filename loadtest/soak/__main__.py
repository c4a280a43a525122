"""Put the service under a steady load, switch versions meanwhile, and find what grows or fails.

Starts the service on copies of the current model version, which `make export` makes, and locust
beside it. Exit code: 0 nothing failed and nothing grows, 1 something did, 2 it could not be
measured, 130 it was stopped (Ctrl-C) before anything failed. DIGITSERVE_ variables are passed on to
the service.
"""

import os
import signal
import sys
from argparse import ArgumentParser, Namespace
from importlib.metadata import version
from pathlib import Path

from loadtest.arguments import file, number_between, parse, parser, think_time
from loadtest.client.requests import SampleImages
from loadtest.errors import CannotMeasure
from loadtest.host.machine import Conditions, Placement
from loadtest.report.document import new_folder
from loadtest.soak import report
from loadtest.soak.results import INTERRUPTED, NOT_MEASURED, Results
from loadtest.soak.run import Plan, soak

PLOT = "soak.png"
TRUSTED = "DIGITSERVE_TRUSTED_KEYS"  # the cards of the copies carry no valid signature
# Seconds between two observations. The service closes connections that idle for 5 s, and an
# observation at that moment gets no answer.
LONGEST = 4.0
WARM_UP = 0.2  # of all


def main(words: list[str] | None = None) -> int:
    arguments = parse(_parser(), words)
    try:
        results, folder = measured(arguments)
    except CannotMeasure as error:
        print(f"soak: {error}", file=sys.stderr)
        return NOT_MEASURED
    except KeyboardInterrupt:
        print("soak: stopped before anything was observed", file=sys.stderr)
        return INTERRUPTED
    print(f"\n{report.plain(results)}")
    _write(results, folder, arguments)
    return results.code


def measured(arguments: Namespace) -> tuple[Results, Path]:
    """The results, and the folder for their files."""
    seconds = arguments.minutes * 60
    plan = Plan(
        seconds=seconds,
        rate=arguments.rate,
        think=arguments.think,
        switch_every=arguments.switch_every,
        versions=arguments.versions,
        look_every=arguments.look_every,
        warm_up=WARM_UP * seconds if arguments.warm_up is None else arguments.warm_up,
        model=arguments.name,
        cores=Placement.of(generators=1),
    )
    if TRUSTED in os.environ:
        raise CannotMeasure(f"{TRUSTED} is set, and copies of a version are not signed: unset it")
    images = SampleImages.of_current(arguments.models, arguments.name)
    client = f"locust {version('locust')}"
    conditions = Conditions.now(
        command=arguments.command, pinned=plan.cores, client=client, model=images.folder
    )
    folder = new_folder(arguments.results, "soak-%Y%m%dT%H%M%SZ")
    print(f"{conditions.processor}; {plan.cores}; results go into {folder}", flush=True)
    return Results(conditions, plan, soak(plan, images, folder)), folder


def _write(results: Results, folder: Path, arguments: Namespace) -> None:
    """Write the plot last: if it cannot be drawn, the numbers are there."""
    results.write_periods(folder / "looks.csv")
    (folder / "summary.json").write_text(results.json())
    (folder / "report.md").write_text(report.markdown(results, PLOT))
    if arguments.markdown:
        link = os.path.relpath(arguments.plot, arguments.markdown.parent) if arguments.plot else ""
        arguments.markdown.write_text(report.markdown(results, link))

    from loadtest.soak.plots import plot  # matplotlib, which is not everywhere

    for path in filter(None, (folder / PLOT, arguments.plot)):
        plot(results, path)
    print(f"Written: {folder}/report.md, soak.png, looks.csv, summary.json")


def _parser() -> ArgumentParser:
    made = parser("loadtest.soak", __doc__)
    add, day = made.add_argument, 86_400
    add("--minutes", type=number_between(0.05, 10_000), default=30.0, help="length; default: 30")
    rate = "requests a second; default: 200"
    add("--rate", type=number_between(1, 10_000), default=200.0, help=rate)
    think = "seconds between an answer and a user's next request; default: %(default)s"
    add("--think", type=think_time, default="0.05-0.5", metavar="FROM-TO", help=think)
    another = "between switches to another version; default: 60"
    observed = "between observations of memory, counters ...; default: 2"
    between = number_between(0.5, day)
    add("--switch-every", type=between, default=60.0, metavar="SECONDS", help=another)
    versions = "number of versions to switch between; default: 2"
    add("--versions", type=int, choices=range(2, 10), default=2, help=versions)
    between = number_between(0.1, LONGEST)
    add("--look-every", type=between, default=2.0, metavar="SECONDS", help=observed)
    warm_up = "of the beginning that is not judged; default: a fifth of all"
    add("--warm-up", type=number_between(0, day), metavar="SECONDS", help=warm_up)
    results = "folder for the results; default: %(default)s"
    add("--results", type=Path, metavar="DIR", default=Path("loadtest/results"), help=results)
    add("--markdown", type=file(".md"), metavar="FILE", help="write the report to this file too")
    add("--plot", type=file(".png"), metavar="FILE", help="write the plot to this file too")
    return made


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # also ends what was started
    sys.exit(main())
