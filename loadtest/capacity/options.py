"""What can be asked for on the command line, each with its bounds."""

import math
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Callable
from pathlib import Path

from loadtest.capacity.replicas import HEADROOM, SPARE
from loadtest.openloop.generator import CONNECTIONS
from loadtest.slo import Slo, fraction, seconds

AUTO = Path("auto")  # docs/benchmarks/capacity-<machine>.md

Add = Callable[..., object]


def parser(description: str | None) -> ArgumentParser:
    made = ArgumentParser(
        "python -m loadtest.capacity",
        description=description,
        formatter_class=RawDescriptionHelpFormatter,
    )
    _promise(made.add_argument_group("what is promised").add_argument)
    _search(made.add_argument_group("how the capacity is looked for").add_argument)
    _targets(made.add_argument_group("how many replicas carry a rate").add_argument)
    _server(made.add_argument_group("what is measured").add_argument)
    add = made.add_argument_group("what is written").add_argument
    add("--json", type=Path, metavar="FILE", help="everything that was measured")
    add(
        "--markdown",
        type=Path,
        metavar="FILE",
        help="the tables with their conditions; auto: docs/benchmarks/capacity-<machine>.md",
    )
    return made


def _promise(add: Add) -> None:
    slo = Slo()
    add(
        "--p99",
        type=seconds,
        default=slo.p99,
        metavar="TIME",
        help="within which 99 of 100 requests are answered; default: 50ms",
    )
    add(
        "--errors",
        type=fraction,
        default=slo.errors,
        metavar="SHARE",
        help="of requests that may fail; default: 0.1%%",
    )


def _search(add: Add) -> None:
    add("--seconds", type=seconds, default=5.0, metavar="TIME", help="of a probe; default: 5s")
    add(
        "--warm-up",
        type=_number(0, math.inf),
        default=1.0,
        metavar="SECONDS",
        help="before them that do not count; default: 1",
    )
    add("--repeat", type=_whole(1), default=6, metavar="N", help="searches; default: 6")
    add(
        "--resolution",
        type=_share(0.001, 1),
        default=0.03,
        metavar="SHARE",
        help="by which the rates that are tried differ; default: 3%%",
    )
    add(
        "--from",
        dest="first",
        type=_number(0.1, math.inf),
        default=500.0,
        metavar="RATE",
        help="requests a second with which to begin; default: 500",
    )
    add(
        "--most",
        type=_number(0.1, math.inf),
        default=100_000.0,
        metavar="RATE",
        help="requests a second that are tried at most; default: 100000",
    )
    add(
        "--generators",
        type=_whole(1),
        default=1,
        metavar="N",
        help="processes that send, a core each; default: 1",
    )
    add(
        "--connections",
        type=_whole(1),
        default=CONNECTIONS,
        metavar="N",
        help=f"of each generator at most; then requests wait in it; default: {CONNECTIONS}",
    )
    add("--seed", type=_whole(0), default=0, metavar="N", help="of the arrivals; default: 0")


def _targets(add: Add) -> None:
    add(
        "--rate",
        type=_number(0, math.inf),
        action="append",
        default=[],
        help="requests a second to be carried; may be given several times",
    )
    add(
        "--headroom",
        type=_share(0, 0.99),
        default=HEADROOM,
        metavar="SHARE",
        help=f"of the capacity that is left unused; default: {HEADROOM:.0%}%",
    )
    add(
        "--spare",
        type=_whole(0),
        default=SPARE,
        metavar="N",
        help=f"replicas more than the rate needs; default: {SPARE}",
    )


def _server(add: Add) -> None:
    add(
        "--url",
        help="http://host:port of a service that runs, with the same model; "
        "default: one is started for each search. Its API_KEY is taken from the environment",
    )
    add(
        "--workers",
        type=_whole(1),
        metavar="N",
        help="of the service that is started, a core each; default: DIGITSERVE_WORKERS, or 1",
    )
    add("--models", type=Path, metavar="DIR", default=Path("models"), help="where the pictures are")
    add("--name", default="digits", help="of the model; default: digits")


def _whole(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise ArgumentTypeError(f"{text!r} is not a whole number of {least} or more")
        return int(text)

    return read


def _number(least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (least <= value < most):
            raise ArgumentTypeError(f"{text!r} is not a number of {least:g} or more")
        return value

    return read


def _share(least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = fraction(text)
        if not least <= value <= most:
            raise ArgumentTypeError(f"{text} is not a share from {least:g} to {most:g}")
        return value

    return read
