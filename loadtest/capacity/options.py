"""The command line of the capacity search, each argument with its bounds."""

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

from loadtest.arguments import fraction, number_between, seconds, share_between, whole_number
from loadtest.capacity.replicas import HEADROOM, SPARE
from loadtest.client.openloop.generator import CONNECTIONS
from loadtest.report.slo import Slo

AUTO = Path("auto")  # docs/benchmarks/capacity-<machine>.md
NOW = "default: %(default)s"


def parser(description: str | None) -> ArgumentParser:
    made = ArgumentParser(
        "python -m loadtest.capacity",
        description=description,
        formatter_class=RawDescriptionHelpFormatter,
    )
    slo, rate = Slo(), number_between(0.1)
    add = made.add_argument_group("what is promised").add_argument
    add("--p99", type=seconds, default=slo.p99, metavar="TIME", help="default: 50ms")
    add("--errors", type=fraction, default=slo.errors, metavar="SHARE", help="default: 0.1%%")

    add = made.add_argument_group("how the capacity is searched for").add_argument
    add("--seconds", type=seconds, default=5.0, metavar="TIME", help="of a probe; default: 5s")
    warm_up = number_between(0)
    add("--warm-up", type=warm_up, default=1.0, metavar="SECONDS", help=f"of a probe; {NOW}")
    add("--repeat", type=whole_number(1), default=6, metavar="N", help=f"searches; {NOW}")
    step = "by which the rates that are tried differ; default: 3%%"
    add("--resolution", type=share_between(0.001, 1), default=0.03, metavar="SHARE", help=step)
    first = f"requests a second with which to begin; {NOW}"
    add("--from", dest="first", type=rate, default=500.0, metavar="RATE", help=first)
    most = f"requests a second that are tried at most; {NOW}"
    add("--most", type=rate, default=100_000.0, metavar="RATE", help=most)
    processes = f"processes that send requests, on a core each; {NOW}"
    add("--generators", type=whole_number(1), default=1, metavar="N", help=processes)
    bound = f"of each generator at most; further requests wait in it; {NOW}"
    add("--connections", type=whole_number(1), default=CONNECTIONS, metavar="N", help=bound)
    add("--seed", type=whole_number(0), default=0, metavar="N", help=f"of the arrivals; {NOW}")

    add = made.add_argument_group("how many replicas carry a rate").add_argument
    target = "requests a second to be carried; may be given several times"
    add("--rate", type=number_between(0), action="append", default=[], help=target)
    unused = f"of the capacity that is left unused; default: {HEADROOM:.0%}%"
    add("--headroom", type=share_between(0, 0.99), default=HEADROOM, metavar="SHARE", help=unused)
    spare = f"replicas more than the rate needs; {NOW}"
    add("--spare", type=whole_number(0), default=SPARE, metavar="N", help=spare)

    add = made.add_argument_group("what is measured").add_argument
    running = (
        "http://host:port of a service that runs, with the same model; default: one is started "
        "for each search. Its API_KEY is taken from the environment"
    )
    add("--url", help=running)
    workers = "of the service that is started, on a core each; default: DIGITSERVE_WORKERS, or 1"
    add("--workers", type=whole_number(1), metavar="N", help=workers)
    add("--models", type=Path, metavar="DIR", default=Path("models"), help="with the pictures")
    add("--name", default="digits", help=f"of the model; {NOW}")

    add = made.add_argument_group("what is written").add_argument
    add("--json", type=Path, metavar="FILE", help="everything that was measured")
    tables = "the tables with their conditions; auto: docs/benchmarks/capacity-<machine>.md"
    add("--markdown", type=Path, metavar="FILE", help=tables)
    return made
