"""Measure the service against its limits, on this machine, in one run: python -m loadtest.bench

Each round measures, in turn: the decoder and the network alone; an echo app under uvicorn; the
service; with --peers mosec and LitServe. Needs a model version, as `make export` makes one.
"""

import json
import sys
import time
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path

from loadtest import report, targets
from loadtest.errors import CannotMeasure
from loadtest.limits import measured_apart
from loadtest.machine import Conditions, Cores, on, settings_handed_on
from loadtest.pictures import Pictures
from loadtest.summary import MANY, ONE, Round, ratios
from loadtest.targets import Target
from loadtest.visit import Plan, Tool, visit

PARTS = ("limits", "echo", "service")


def main(words: list[str] | None = None) -> int:
    arguments = _parser().parse_args(words)
    try:
        bench(arguments, ["python -m loadtest.bench", *(sys.argv[1:] if words is None else words)])
    except CannotMeasure as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def bench(arguments: Namespace, command: list[str]) -> None:
    cores = Cores.of_this_process()
    pictures = Pictures.of_current(arguments.models, arguments.name)
    tool = Tool.found(arguments.client)
    conditions = Conditions.now(
        command=" ".join(command), cores=cores, client=tool.name, model=str(pictures.folder)
    )
    print(f"{conditions.processor}, {conditions.pinned}; client: {tool.name}")
    plan = Plan(tool, arguments.seconds, (MANY, ONE), True, arguments.name, cores.server)
    rounds = []
    with on(cores.client):
        for number in range(arguments.rounds):
            began = time.monotonic()
            rounds.append(_round(arguments, pictures, plan))
            took = time.monotonic() - began
            print(f"round {number + 1} of {arguments.rounds} took {took:.0f} s", flush=True)
    for lines in (report.limits(rounds), report.table(rounds), report.compared(rounds, ())):
        if lines:
            print(f"\n{report.plain(lines)}")
    for sentence in {each.skipped for one in rounds for each in one.visits if each.skipped}:
        print(f"\n{sentence}")
    if arguments.json:
        told = {
            "conditions": asdict(conditions),
            "rounds": [asdict(each) for each in rounds],
            "ratios": {name: asdict(spread) for name, spread in ratios(rounds).items()},
        }
        arguments.json.write_text(json.dumps(told, indent=2) + "\n")


def _round(arguments: Namespace, pictures: Pictures, plan: Plan) -> Round:
    limits = None
    if "limits" in arguments.only:
        limits = measured_apart(
            arguments.models, arguments.name, min(1.0, arguments.seconds), core=plan.core
        )
    visits = [visit(target, pictures, plan) for target in _targets(arguments)]
    return Round(limits, visits)


def _targets(arguments: Namespace) -> list[Target]:
    known = [
        targets.echo(),
        targets.service(arguments.models, arguments.name, settings_handed_on()),
    ]
    return [target for target in known if target.name in arguments.only]


def _parser() -> ArgumentParser:
    parser = ArgumentParser("python -m loadtest.bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="of each load; default: 5")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    parser.add_argument("--client", choices=("auto", "wrk", "asyncio"), default="auto")
    parser.add_argument("--models", type=Path, metavar="DIR", default=Path("models"))
    parser.add_argument("--name", default="digits", help="of the model; default: digits")
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything that was measured")
    return parser


if __name__ == "__main__":
    sys.exit(main())
