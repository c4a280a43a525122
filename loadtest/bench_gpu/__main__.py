"""Measure the engine and the service on a GPU, on this machine: python -m loadtest.bench_gpu

    engine    service.engine.benchmark: every bucket, precision and way, without HTTP
    service   1, 2, 4, ... workers: single PNGs, binary batches of 64 and of 256, and how much of
              the GPU is left meanwhile

Measures only what was requested: a service on another provider, or with a fallback, is refused.
What was measured before that is reported with the reason, and the exit code is 1. Without the
provider it is 2, and a sentence names what is missing. Needs a model version, and an environment as
docs/how-to/gpu.md makes it. DIGITSERVE_ variables are passed on to the service.
"""

import sys
from argparse import ArgumentParser, Namespace

from loadtest.arguments import add_files, parse, parser, whole_number
from loadtest.bench.measure import Tool, add_load
from loadtest.bench_gpu import measure
from loadtest.bench_gpu.measure import BATCH_CONNECTIONS, BATCHES, CONNECTIONS, Crew, Plan
from loadtest.bench_gpu.report import GpuResults
from loadtest.client.requests import SampleImages
from loadtest.errors import CannotMeasure, NoProvider
from loadtest.host.machine import Conditions, on_linux, settings_handed_on
from loadtest.target import targets

MAX_BATCH = "64"  # the service's own
CHOSEN_HERE = {"HOST", "PORT", "MODELS", "MODEL", "PROVIDER", "WORKERS"}


def main(words: list[str] | None = None) -> int:
    arguments = parse(_parser(), words)
    try:
        results = bench(arguments)
    except CannotMeasure as error:
        print(f"bench_gpu: {error}", file=sys.stderr)
        return 2 if isinstance(error, NoProvider) else 1
    print(f"\n{results.plain()}", end="")
    if arguments.json:
        arguments.json.write_text(results.json())
    if arguments.markdown:
        arguments.markdown.write_text(results.markdown())
    for refusal in results.refusals:
        print(f"bench_gpu: not measured: {refusal}", file=sys.stderr)
    return 1 if results.refusals else 0


def bench(arguments: Namespace) -> GpuResults:
    on_linux()
    most = arguments.workers or measure.default_most()
    pictures = SampleImages.of_current(arguments.models, arguments.name)
    tool = Tool.found(arguments.client)
    settings = _settings()
    conditions = Conditions.now(
        command=arguments.command,
        pinned="nothing",
        client=tool.name,
        model=pictures.folder,
        settings=settings,
    )
    print(f"{conditions.processor}, {conditions.cores} cores; client: {tool.name}", flush=True)
    print("measuring the engine alone", flush=True)
    alone = measure.engine(
        arguments.models,
        arguments.name,
        arguments.provider,
        max_batch=settings.get("DIGITSERVE_MAX_BATCH", MAX_BATCH),
        seconds=arguments.seconds / 50,
    )
    plan = Plan(arguments.provider, arguments.name, tool, arguments.seconds)
    crews: list[Crew] = []
    refusals: list[str] = []
    for number in measure.numbers(most):
        print(f"measuring the service, workers: {number} of {most}", flush=True)
        # All connections may be accepted by one worker: none of them is to be refused.
        waiting = max(CONNECTIONS, BATCH_CONNECTIONS * max(BATCHES)) * number
        ours = {"DIGITSERVE_MAX_QUEUE": str(waiting)}
        target = targets.service(arguments.models, arguments.name, ours | settings)
        try:
            crews.append(measure.crew(target, pictures, plan, workers=number))
        except CannotMeasure as error:
            refusals.append(f"workers: {number} and more: {error}")
            break
    return GpuResults(conditions, arguments.provider, alone, crews, refusals)


def _settings() -> dict[str, str]:
    """The service's settings in the environment, without those that the bench sets itself."""
    chosen = {f"DIGITSERVE_{name}" for name in CHOSEN_HERE}
    return {name: value for name, value in settings_handed_on().items() if name not in chosen}


def _parser() -> ArgumentParser:
    made = parser("loadtest.bench_gpu", __doc__)
    add = made.add_argument
    add("--provider", choices=("cuda", "tensorrt", "cpu"), default="cuda", help="default: cuda")
    most = "highest number of workers; default: cores less 1, up to 8"
    add("--workers", type=whole_number(1), metavar="N", help=most)
    add_load(made)
    add_files(made)
    return made


if __name__ == "__main__":
    sys.exit(main())
