"""Put the service under a steady load, switch versions meanwhile, and see what grows or fails.

Starts the service on copies of the current model version, which `make export` makes, and locust
beside it. Ends with 0 if nothing failed and nothing grows, 1 if something did, 2 if it could not be
measured, 130 if it was stopped (Ctrl-C) before anything failed. DIGITSERVE_ variables are handed on
to the service.
"""

import os
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from loadtest.arguments import number_between
from loadtest.client.pictures import Pictures
from loadtest.errors import CannotMeasure
from loadtest.host.machine import Conditions, Placement, settings_handed_on
from loadtest.report.conditions import new_folder
from loadtest.soak import report
from loadtest.soak.plan import Plan, Think
from loadtest.soak.results import INTERRUPTED, NOT_MEASURED, Results
from loadtest.soak.run import soak

PICTURE = "soak.png"
TRUSTED = "DIGITSERVE_TRUSTED_KEYS"  # the copies' cards are not what anybody has signed
# Seconds between two looks. The service closes connections that idle for 5 s, and a look that
# in that moment has no answer.
LONGEST = 4.0
WARM_UP = 0.2  # of all


def main(words: list[str] | None = None) -> int:
    words = sys.argv[1:] if words is None else words
    arguments = _parser().parse_args(words)
    try:
        results, folder = measured(arguments, " ".join(["python -m loadtest.soak", *words]))
    except CannotMeasure as error:
        print(f"soak: {error}", file=sys.stderr)
        return NOT_MEASURED
    except KeyboardInterrupt:
        print("soak: stopped before anything was seen", file=sys.stderr)
        return INTERRUPTED
    print(f"\n{report.plain(results)}\n")
    _write(results, folder, arguments)
    return results.code


def measured(arguments: Namespace, command: str) -> tuple[Results, Path]:
    """With the folder that is to hold them."""
    plan = _plan(arguments)
    if TRUSTED in os.environ:
        raise CannotMeasure(f"{TRUSTED} is set, and copies of a version are not signed: unset it")
    pictures = Pictures.of_current(arguments.models, arguments.name)
    conditions = Conditions.now(
        command=command,
        pinned=str(plan.cores),
        client=f"locust {version('locust')}",
        model=str(pictures.folder),
        settings=settings_handed_on(),
    )
    folder = new_folder(arguments.results, "soak-%Y%m%dT%H%M%SZ")
    print(f"{conditions.processor}; {plan.cores}; results go into {folder}", flush=True)
    return Results(conditions, plan, soak(plan, pictures, folder)), folder


def _plan(arguments: Namespace) -> Plan:
    seconds = arguments.minutes * 60
    warm_up = WARM_UP * seconds if arguments.warm_up is None else arguments.warm_up
    return Plan(
        seconds=seconds,
        rate=arguments.rate,
        think=arguments.think,
        switch_every=arguments.switch_every,
        versions=arguments.versions,
        look_every=arguments.look_every,
        warm_up=warm_up,
        model=arguments.name,
        cores=Placement.of(generators=1),
    )


def _write(results: Results, folder: Path, arguments: Namespace) -> None:
    """The picture last: whatever keeps it from being drawn, the numbers are there."""
    results.write_looks(folder / "looks.csv")
    (folder / "summary.json").write_text(results.json())
    (folder / "report.md").write_text(report.markdown(results, PICTURE))
    beside = arguments.plot
    if arguments.markdown:
        link = os.path.relpath(beside, arguments.markdown.parent) if beside else ""
        arguments.markdown.write_text(report.markdown(results, link))

    from loadtest.soak.plots import plot  # matplotlib, which is not everywhere

    for picture in (folder / PICTURE, beside):
        if picture:
            plot(results, picture)
    print(f"Written: {folder}/report.md, soak.png, looks.csv, summary.json")


def _parser() -> ArgumentParser:
    parser = ArgumentParser("python -m loadtest.soak", description=__doc__)
    add = parser.add_argument
    add("--minutes", type=number_between(0.05, 10_000), default=30.0, help="default: 30")
    add(
        "--rate",
        type=number_between(1, 10_000),
        default=200.0,
        help="requests a second; default: 200",
    )
    add(
        "--think",
        type=_think,
        default=Think(0.05, 0.5),
        metavar="FROM-TO",
        help="seconds between an answer and a user's next request; default: 0.05-0.5",
    )
    add(
        "--switch-every",
        type=number_between(0.5, 86_400),
        default=60.0,
        metavar="SECONDS",
        help="another version; default: 60",
    )
    add(
        "--versions",
        type=int,
        choices=range(2, 10),
        default=2,
        help="to switch between; default: 2",
    )
    add(
        "--look-every",
        type=number_between(0.1, LONGEST),
        default=2.0,
        metavar="SECONDS",
        help="at memory, counters ...; default: 2",
    )
    add(
        "--warm-up",
        type=number_between(0, 86_400),
        metavar="SECONDS",
        help="not judged; default: a fifth of all",
    )
    add("--models", type=Path, metavar="DIR", default=Path("models"))
    add("--name", default="digits", help="of the model; default: digits")
    add("--results", type=Path, metavar="DIR", default=Path("loadtest/results"))
    add("--markdown", type=_file(".md"), metavar="FILE", help="write the report there too")
    add("--plot", type=_file(".png"), metavar="FILE", help="and the plot")
    return parser


def _file(suffix: str) -> Callable[[str], Path]:
    """One that can be written, for it is half an hour until it is."""

    def path(text: str) -> Path:
        found = Path(text)
        if found.suffix != suffix or not found.parent.is_dir():
            raise ArgumentTypeError(f"{text} is no {suffix} file in a folder that is there")
        return found

    return path


def _think(text: str) -> Think:
    shortest, _, longest = text.partition("-")
    think = Think(float(shortest), float(longest))
    if not 0 <= think.shortest <= think.longest:
        raise ArgumentTypeError(f"{text} is no FROM-TO, as 0.05-0.5")
    return think


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it leaves nothing behind either
    sys.exit(main())
