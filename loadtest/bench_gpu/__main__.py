"""Measure the engine and the service on a GPU, on this machine: python -m loadtest.bench_gpu

    engine    service.speed: every bucket, precision and way, without HTTP
    service   1, 2, 4, ... workers: single PNGs, binary batches of 64 and of 256, and how much of
              the GPU is left meanwhile

Refuses to measure anything but what was requested: a service on another provider, or with a
fallback. What was measured before is kept, the reason stands beside it, and it ends with 1. Without
the provider it ends with 2 and says what is missing. Needs a model version, and
an environment as docs/gpu.md makes it. DIGITSERVE_ variables are handed on to the service.
"""

import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path

from loadtest.arguments import whole_number
from loadtest.bench.measure import Tool
from loadtest.bench_gpu import engine
from loadtest.bench_gpu import measure as workers
from loadtest.bench_gpu.measure import BATCH_CONNECTIONS, BATCHES, CONNECTIONS, Crew, Plan
from loadtest.bench_gpu.report import GpuResults
from loadtest.client.requests import Pictures
from loadtest.errors import CannotMeasure, NoProvider
from loadtest.host.machine import Conditions, on_linux, settings_handed_on
from loadtest.target import targets

MAX_BATCH = "64"  # the service's own
CHOSEN_HERE = {"HOST", "PORT", "MODELS", "MODEL", "PROVIDER", "WORKERS"}


def main(words: list[str] | None = None) -> int:
    words = sys.argv[1:] if words is None else words
    arguments = _parser().parse_args(words)
    try:
        results = bench(arguments, " ".join(["python -m loadtest.bench_gpu", *words]))
    except CannotMeasure as error:
        print(f"bench_gpu: {error}", file=sys.stderr)
        return 2 if isinstance(error, NoProvider) else 1
    print(f"\n{results.plain()}")
    if arguments.json:
        arguments.json.write_text(results.json())
    if arguments.markdown:
        arguments.markdown.write_text(results.markdown())
    for refusal in results.refusals:
        print(f"bench_gpu: not measured: {refusal}", file=sys.stderr)
    return 1 if results.refusals else 0


def bench(arguments: Namespace, command: str) -> GpuResults:
    on_linux()
    most = arguments.workers or workers.default_most()
    pictures = Pictures.of_current(arguments.models, arguments.name)
    tool = Tool.found(arguments.client)
    settings = _settings()
    conditions = Conditions.now(
        command=command,
        pinned="nothing",
        client=tool.name,
        model=str(pictures.folder),
        settings=settings,
    )
    print(f"{conditions.processor}, {conditions.cores} cores; client: {tool.name}", flush=True)
    print("measuring the engine alone", flush=True)
    alone = engine.measured(
        arguments.models,
        arguments.name,
        arguments.provider,
        max_batch=settings.get("DIGITSERVE_MAX_BATCH", MAX_BATCH),
        seconds=arguments.seconds / 50,
    )
    crews: list[Crew] = []
    refusals: list[str] = []
    for number in workers.numbers(most):
        print(f"measuring the service, workers: {number} of {most}", flush=True)
        try:
            crews.append(_crew(arguments, settings, pictures, tool, number))
        except CannotMeasure as error:
            refusals.append(f"workers: {number} and more: {error}")
            break
    return GpuResults(conditions, arguments.provider, alone, crews, refusals)


def _crew(
    arguments: Namespace, settings: dict[str, str], pictures: Pictures, tool: Tool, number: int
) -> Crew:
    # All connections may meet at one worker: none of them is to be refused.
    waiting = max(CONNECTIONS, BATCH_CONNECTIONS * max(BATCHES)) * number
    ours = {"DIGITSERVE_MAX_QUEUE": str(waiting)}
    return workers.crew(
        targets.service(arguments.models, arguments.name, ours | settings),
        pictures,
        Plan(arguments.provider, arguments.name, tool, arguments.seconds),
        workers=number,
    )


def _settings() -> dict[str, str]:
    """What the user has set, without what the bench sets itself."""
    chosen = {f"DIGITSERVE_{name}" for name in CHOSEN_HERE}
    return {name: value for name, value in settings_handed_on().items() if name not in chosen}


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        "python -m loadtest.bench_gpu",
        description=__doc__,
        formatter_class=RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--provider", choices=("cuda", "tensorrt", "cpu"), default="cuda", help="default: cuda")
    add(
        "--workers",
        type=whole_number(1),
        metavar="N",
        help="the most; default: cores less 1, up to 8",
    )
    add("--seconds", type=float, default=5, help="of each load; default: 5")
    add(
        "--client", choices=("auto", "wrk", "asyncio"), default="auto", help="default: wrk if there"
    )
    add("--models", type=Path, metavar="DIR", default=Path("models"))
    add("--name", default="digits", help="of the model; default: digits")
    add("--json", type=Path, metavar="FILE", help="write everything that was measured")
    add("--markdown", type=Path, metavar="FILE", help="write the tables with their conditions")
    return parser


if __name__ == "__main__":
    sys.exit(main())
