"""Measure the service against its limits, on this machine, in one run: python -m loadtest.bench

Each round measures, in turn: the decoder and the network alone; an echo app under uvicorn; the
service, with single pictures and with binary batches; with --peers mosec and LitServe. After the
rounds the service is scraped while it is busy, and overloaded. Needs a model version, as
`make export` makes one. DIGITSERVE_ variables are handed on to the service.
"""

import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

from loadtest import document, targets
from loadtest.environment import ensure
from loadtest.errors import CannotMeasure
from loadtest.limits import measured_apart
from loadtest.load import MANY, ONE
from loadtest.machine import Conditions, Cores, on, settings_handed_on
from loadtest.overload import NEEDED, overload
from loadtest.pictures import Pictures
from loadtest.results import Results
from loadtest.scrape import WORKERS, scrapes
from loadtest.summary import Round
from loadtest.targets import PEERS, TUNED, Target
from loadtest.visit import Plan, Tool, visit

ALWAYS = ("limits", "echo", "service", "batches", "scrape", "overload")


def main(words: list[str] | None = None) -> int:
    words = sys.argv[1:] if words is None else words
    arguments = _parser().parse_args(words)
    arguments.only = set(arguments.only or ALWAYS) | set(PEERS if arguments.peers else ())
    arguments.venvs = arguments.venvs.resolve()
    try:
        results = bench(arguments, " ".join(["python -m loadtest.bench", *words]))
    except CannotMeasure as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(f"\n{document.plain(results)}")
    if arguments.json:
        arguments.json.write_text(results.json())
    if arguments.markdown:
        arguments.markdown.write_text(document.markdown(results))
    return 0


def bench(arguments: Namespace, command: str) -> Results:
    cores = Cores.of_this_process()
    pictures = Pictures.of_current(arguments.models, arguments.name)
    tool = Tool.found(arguments.client)
    conditions = Conditions.now(
        command=command,
        pinned=str(cores),
        client=tool.name,
        model=str(pictures.folder),
        settings=settings_handed_on(),
    )
    plan = Plan(
        tool=tool,
        seconds=arguments.seconds,
        connections=(MANY, ONE),
        batches="batches" in arguments.only,
        model=arguments.name,
        cores=cores,
    )
    for peer in PEERS:
        if peer in arguments.only:
            ensure(arguments.venvs, peer)
    print(f"{conditions.processor}; {cores}; asked by {tool.name}", flush=True)
    scraped, overloaded = [], None
    with on(cores.client):
        rounds = list(_rounds(arguments, pictures, plan))
        target = _service(arguments)
        if "scrape" in arguments.only:
            scraped = [scrapes(target, pictures, plan, workers=workers) for workers in WORKERS]
        if "overload" in arguments.only:
            overloaded = overload(
                target, pictures, plan, seconds=arguments.overload, queue=arguments.queue
            )
    peers = tuple(peer for peer in PEERS if peer in arguments.only)
    return Results(conditions, rounds, scraped, overloaded, peers)


def _rounds(arguments: Namespace, pictures: Pictures, plan: Plan) -> Iterator[Round]:
    asked_for = _targets(arguments, pictures)
    for number in range(1, arguments.rounds + 1):
        began = time.monotonic()
        yield _round(arguments, asked_for, pictures, plan)
        took = time.monotonic() - began
        print(f"round {number} of {arguments.rounds} took {took:.0f} s", flush=True)


def _round(arguments: Namespace, asked_for: list[Target], pictures: Pictures, plan: Plan) -> Round:
    limits = None
    if "limits" in arguments.only:
        seconds = min(1.0, arguments.seconds)
        limits = measured_apart(arguments.models, arguments.name, seconds, core=plan.cores.server)
    return Round(limits, [visit(target, pictures, plan) for target in asked_for])


def _targets(arguments: Namespace, pictures: Pictures) -> list[Target]:
    known = [
        targets.echo(),
        _service(arguments),
        *targets.peers(arguments.venvs, pictures.folder),
    ]
    return [target for target in known if target.name.removesuffix(TUNED) in arguments.only]


def _service(arguments: Namespace) -> Target:
    # What the user has set in the environment goes before our choice.
    settings = targets.ON_ONE_CORE | settings_handed_on()
    return targets.service(arguments.models, arguments.name, settings)


def _parser() -> ArgumentParser:
    parser = ArgumentParser("python -m loadtest.bench", description=__doc__)
    add = parser.add_argument
    add("--seconds", type=float, default=5, help="of each load; default: 5")
    add("--rounds", type=int, default=3, help="default: 3")
    add("--only", nargs="+", choices=(*ALWAYS, *PEERS), help="measure these parts alone")
    add("--peers", action="store_true", help="mosec and LitServe too, installed on demand")
    add("--overload", type=float, default=10, metavar="SECONDS", help="of overload; default: 10")
    add("--queue", type=int, default=NEEDED, help=f"MAX_QUEUE under overload; default: {NEEDED}")
    add(
        "--client", choices=("auto", "wrk", "asyncio"), default="auto", help="default: wrk if there"
    )
    add("--models", type=Path, metavar="DIR", default=Path("models"))
    add("--name", default="digits", help="of the model; default: digits")
    add("--venvs", type=Path, metavar="DIR", default=Path(".peers"), help="of the peers")
    add("--json", type=Path, metavar="FILE", help="write everything that was measured")
    add("--markdown", type=Path, metavar="FILE", help="write the tables with their conditions")
    return parser


if __name__ == "__main__":
    sys.exit(main())
