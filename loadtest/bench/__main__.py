"""Measure the service against its limits, on this machine, in one run: python -m loadtest.bench

Each round measures, in turn: the decoder and the network alone; an echo on uvloop and one under
uvicorn; the service, with single images, large drawings and binary batches, and with two workers;
with --peers mosec, LitServe, BentoML and plain FastAPI. After the rounds the service is scraped
while it is busy, and overloaded. Needs a model version, as `make export` makes one. DIGITSERVE_
variables are passed on to the service.

Exits with 1 if it cannot measure, with 3 if it measured all but a peer.
"""

import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

from loadtest.arguments import add_files, parse, parser, whole_number
from loadtest.bench import report
from loadtest.bench.limits import measured_apart
from loadtest.bench.measure import Plan, Tool, Visit, add_load, visit
from loadtest.bench.overload import NEEDED, overload
from loadtest.bench.results import Results, Round
from loadtest.bench.scrape import WORKERS, scrapes
from loadtest.bench.venv import ensure, version_of
from loadtest.client.asyncio_client import LOST
from loadtest.client.requests import SampleImages
from loadtest.errors import CannotMeasure
from loadtest.host.machine import Conditions, Placement, on, settings_handed_on
from loadtest.target import targets
from loadtest.target.targets import PEERS, Target

ALWAYS = ("limits", "echo", "service", "batches", "scrape", "overload")
DONE, NOTHING, NOT_ALL = 0, 1, 3  # exit codes; 2 is argparse's


def main(words: list[str] | None = None) -> int:
    arguments = parse(_parser(), words)
    arguments.only = set(arguments.only or ALWAYS) | set(PEERS if arguments.peers else ())
    arguments.venvs = arguments.venvs.resolve()
    try:
        results = bench(arguments)
    except CannotMeasure as error:
        print(f"bench: {error}", file=sys.stderr)
        return NOTHING
    print(f"\n{report.plain(results)}", end="")
    if arguments.json:
        arguments.json.write_text(results.json())
    if arguments.markdown:
        arguments.markdown.write_text(report.markdown(results))
    return NOT_ALL if results.missing else DONE


def bench(arguments: Namespace) -> Results:
    cores = Placement.of(generators=1)
    images = SampleImages.of_current(arguments.models, arguments.name)
    if arguments.jpeg:
        images = images.as_jpegs(*arguments.jpeg)
    tool = Tool.found(arguments.client)
    conditions = Conditions.now(
        command=arguments.command, pinned=cores, client=tool.name, model=images.folder
    )
    plan = Plan(
        tool=tool,
        seconds=arguments.seconds,
        batches="batches" in arguments.only,
        model=arguments.name,
        cores=cores,
    )
    wanted = [peer for peer in PEERS if peer in arguments.only]
    missing = _not_installed(arguments.venvs, wanted)
    installed = [peer for peer in wanted if peer not in missing]
    print(f"{conditions.processor}; {cores}; client: {tool.name}", flush=True)
    scraped, overloaded = [], None
    with on(*cores.generators):
        rounds = list(_rounds(arguments, images, plan, missing))
        target = _service(arguments)
        if "scrape" in arguments.only:
            scraped = [scrapes(target, images, plan, workers=workers) for workers in WORKERS]
        if "overload" in arguments.only:
            overloaded = overload(
                target, images, plan, seconds=arguments.overload, queue=arguments.queue
            )
    peers = {peer: version_of(arguments.venvs, peer) for peer in installed}
    return Results(conditions, rounds, scraped, overloaded, peers, missing)


def _not_installed(venvs: Path, wanted: list[str]) -> dict[str, str]:
    """The peers that cannot be installed, and why."""
    missing: dict[str, str] = {}
    for peer in wanted:
        try:
            ensure(venvs, peer)
        except CannotMeasure as error:
            missing[peer] = _left_out(peer, "it cannot be installed", error)
    return missing


def _rounds(
    arguments: Namespace, images: SampleImages, plan: Plan, missing: dict[str, str]
) -> Iterator[Round]:
    """Measure rounds; `missing` gets the peers that fail, which are not tried again."""
    requested = _targets(arguments, images)
    for number in range(1, arguments.rounds + 1):
        began = time.monotonic()
        limits = None
        if "limits" in arguments.only:
            seconds, core = min(1.0, arguments.seconds), plan.cores.server[0]
            limits = measured_apart(
                arguments.models, arguments.name, seconds, core=core, jpeg=arguments.jpeg or ()
            )
        yield Round(limits, list(_visits(requested, images, plan, missing, f"round {number}")))
        took = time.monotonic() - began
        print(f"round {number} of {arguments.rounds} took {took:.0f} s", flush=True)


def _visits(
    requested: list[Target], images: SampleImages, plan: Plan, missing: dict[str, str], when: str
) -> Iterator[Visit]:
    for target in requested:
        peer = target.part
        if {peer, target.name} & missing.keys():
            continue
        try:
            yield visit(target, images, plan)
        except (CannotMeasure, *LOST) as error:
            if peer not in PEERS:
                raise
            missing[target.name] = _left_out(target.name, f"it failed in {when}", error)


def _left_out(name: str, what: str, error: Exception) -> str:
    """Print the whole reason at once; the report gets its last line."""
    print(f"bench: {name} is left out, {what}: {error}", file=sys.stderr, flush=True)
    return f"{what}: {(str(error) or repr(error)).splitlines()[-1]}"


def _targets(arguments: Namespace, images: SampleImages) -> list[Target]:
    peers = targets.peers(arguments.venvs, images.folder)
    ours = _service(arguments)
    known = [targets.echo(), targets.uvicorn_echo(), ours, targets.with_two_workers(ours), *peers]
    return [target for target in known if target.part in arguments.only]


def _service(arguments: Namespace) -> Target:
    # The environment has precedence over the bench's own settings.
    settings = targets.ON_ONE_CORE | settings_handed_on()
    return targets.service(arguments.models, arguments.name, settings)


def _parser() -> ArgumentParser:
    made = parser("loadtest.bench", __doc__)
    add = made.add_argument
    add_load(made)
    add("--rounds", type=int, default=3, help="number of rounds; default: 3")
    add("--only", nargs="+", choices=(*ALWAYS, *PEERS), help="measure only these parts")
    add("--peers", action="store_true", help=f"also {', '.join(PEERS)}, installed on demand")
    add("--overload", type=float, default=10, metavar="SECONDS", help="its length; default: 10")
    add("--queue", type=int, default=NEEDED, help=f"MAX_QUEUE under overload; default: {NEEDED}")
    venvs = "environments of the peers"
    add("--venvs", type=Path, metavar="DIR", default=Path(".peers"), help=venvs)
    size = "post JPEGs of that size instead of PNGs of the model's own; for models of photographs"
    add("--jpeg", type=whole_number(1), nargs=2, metavar=("WIDTH", "HEIGHT"), help=size)
    add_files(made)
    return made


if __name__ == "__main__":
    sys.exit(main())
