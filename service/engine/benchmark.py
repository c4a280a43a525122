"""Benchmark of the engine in every precision and mode: python -m service.engine.benchmark

The engine alone, without HTTP: pixels in, probabilities out, copies included. What is compared is
measured in turns, round after round, so that a machine that slows down slows all of it. On a GPU it
also reports how much idle GPU capacity is left under continuous load, by `nvidia-smi`.
"""

import json
import shutil
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean, median
from typing import Any, get_args

import numpy as np
import onnxruntime

from contract.cgroup import available_cores
from contract.command_line import CommandLine
from contract.errors import StoreError
from contract.location import location_of
from contract.provenance import processor
from contract.store import open_store
from contract.version import Version
from service.engine.engine import Engine
from service.engine.info import ExecutionMode, Precision, Provider, RequestedProvider
from service.engine.providers import EngineRefused
from service.engine.runners import buckets

PRECISIONS: tuple[Precision, ...] = get_args(Precision)
WAYS: dict[Provider, tuple[ExecutionMode, ...]] = {
    "cpu": ("plain", "bound"),
    "cuda": ("plain", "bound", "graph"),
    "tensorrt": ("plain", "bound"),
}
WATCHED = 2.0  # seconds that the GPU is watched for
FIELDS = ("name", "driver_version", "utilization.gpu", "memory.used", "memory.total")
MIB = 2**20
EVERY = 100  # milliseconds between two samples; the driver itself averages over about as long


@dataclass(frozen=True)
class Use:
    name: str
    driver: str
    busy: float | None  # fraction of the time that a kernel ran; None: this GPU does not report it
    memory_used: int  # bytes, the most there were, of every program
    memory_total: int  # bytes

    def __str__(self) -> str:
        busy = "does not report how busy it is" if self.busy is None else f"{self.busy:.0%} busy"
        left = (self.memory_total - self.memory_used) / MIB
        return f"{self.name}: {busy}, {self.memory_used / MIB:,.0f} MiB used, {left:,.0f} MiB left"


@dataclass
class Cell:
    """One engine with one batch size."""

    engine: Engine
    images: int
    calls: list[float] = field(default_factory=list)  # seconds of each
    rates: list[float] = field(default_factory=list)  # images a second in each round

    def measure(self, seconds: float) -> None:
        """One round: calls without a pause."""
        shape = (self.images, *self.engine.shape)
        pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
        self.engine(pixels)  # the other engines have filled the caches meanwhile
        calls: list[float] = []
        began = now = time.perf_counter()
        while now - began < seconds or not calls:
            self.engine(pixels)
            before, now = now, time.perf_counter()
            calls.append(now - before)
        self.calls += calls
        self.rates.append(self.images * len(calls) / (now - began))

    def result(self) -> dict[str, Any]:
        info, calls = self.engine.info, np.array(self.calls)
        return {
            "provider": info.provider,
            "precision": info.precision,
            "way": info.way,
            "pictures": self.images,
            "pictures_per_second": median(self.rates),
            "p50_seconds": float(np.quantile(calls, 0.5)),
            "p99_seconds": float(np.quantile(calls, 0.99)),
            "calls": len(calls),
        }

    def __str__(self) -> str:
        info, p50, p99 = self.engine.info, *np.quantile(self.calls, (0.5, 0.99)) * 1e6
        return (
            f"{info.provider:10}{info.precision:6}{info.way:8}{self.images:7}"
            f"{median(self.rates):14,.0f}{p50:9,.0f} us{p99:9,.0f} us"
        )


def main(words: list[str] | None = None) -> int:
    options = _arguments(words)
    try:
        version = open_store(options.models, options.model).open(options.version)
        engines, left_out = _engines(version, options)
    except (StoreError, EngineRefused) as error:
        print(f"service.engine.benchmark: {error}", file=sys.stderr)
        return 2
    machine = f"{processor()}, threads: {options.threads}"
    print(f"{version.folder}: {version.card.network}, on {machine}")
    report = {
        "version": str(version.folder),
        "machine": machine,
        "onnxruntime": onnxruntime.__version__,
        "left_out": left_out,
        "results": _results(engines, options),
        "gpu": _gpu(engines, options),
    }
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def _arguments(words: list[str] | None) -> Namespace:
    parser = CommandLine("python -m service.engine.benchmark", description=__doc__)
    parser.add_argument("--models", type=location_of, metavar="STORE", default=Path("models"))
    parser.add_argument("--model", default="digits", help="its name; default: digits")
    parser.add_argument("--version", type=int, metavar="N", help="default: the current one")
    parser.add_argument("--provider", choices=get_args(RequestedProvider), default="auto")
    parser.add_argument("--precision", choices=PRECISIONS, nargs="+", default=PRECISIONS)
    parser.add_argument("--way", choices=get_args(ExecutionMode), nargs="+")
    parser.add_argument("--max-batch", type=int, default=64, metavar="N", help="default: 64")
    parser.add_argument("--threads", type=int, default=available_cores(), metavar="N")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument("--seconds", type=float, default=0.1, help="of each round; default: 0.1")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write it for programs, too")
    return parser.parse_args(words)


def _engines(version: Version, options: Namespace) -> tuple[list[Engine], list[str]]:
    """Those that run, and a sentence for each that does not; EngineRefused without the provider."""
    build = partial(Engine, version, threads=options.threads)
    probe = build(provider=options.provider, precision="fp32", max_batch=1, way="plain")
    left_out = [str(fallback) for fallback in probe.info.fallbacks]
    engines: list[Engine] = []
    for precision, way in product(options.precision, options.way or WAYS[probe.provider]):
        try:
            engine = build(
                provider=probe.provider, precision=precision, max_batch=options.max_batch, way=way
            )
        except EngineRefused as refusal:
            left_out.append(f"{precision}, {way}: {refusal}")
            continue
        left_out += [f"{precision}, {way}: {fallback}" for fallback in engine.info.fallbacks]
        if engine.info.way == way:
            engines.append(engine)
    if not engines:
        raise EngineRefused("; ".join(left_out))
    for reason in left_out:
        print(f"left out: {reason}")
    return engines, left_out


def _results(engines: list[Engine], options: Namespace) -> list[dict[str, Any]]:
    """Measure every engine with every bucket, and print what was found."""
    print(f"{'':24}{'a call':>7}{'images/s':>14}{'p50':>12}{'p99':>12}")
    results = []
    for images in buckets(options.max_batch):
        cells = [Cell(engine, images) for engine in engines]
        for _ in range(options.rounds):
            for cell in cells:
                cell.measure(options.seconds)
        for cell in cells:
            results.append(cell.result())
            print(cell)
    return results


def _gpu(engines: list[Engine], options: Namespace) -> list[dict[str, Any]]:
    """How much of the GPU each engine leaves, called with the largest batch without a pause."""
    uses = []
    for engine in engines:
        if engine.provider == "cpu":
            continue
        cell = Cell(engine, options.max_batch)
        use = use_during(partial(cell.measure, WATCHED))
        if use is None:
            print("left out: how much of the GPU is left, for there is no nvidia-smi")
            break
        print(f"{engine.info}, {options.max_batch} a call: {use}")
        uses.append(asdict(use) | {"precision": engine.info.precision, "way": engine.info.way})
    return uses


def use_during(work: Callable[[], object]) -> Use | None:
    """Do the work and watch the first GPU meanwhile; None where there is no `nvidia-smi`."""
    command = shutil.which("nvidia-smi")
    if command is None:
        work()
        return None
    words = [f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits"]
    words += ["--id=0", f"--loop-ms={EVERY}"]
    watch = subprocess.Popen([command, *words], stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        work()
    finally:
        watch.terminate()
        output, _ = watch.communicate()
    return _use(output)


def _use(output: str) -> Use | None:
    samples = [line.split(", ") for line in output.splitlines()]
    samples = [look for look in samples if len(look) == len(FIELDS)]  # the last line may be cut
    if not samples:
        return None
    name, driver, _, _, total = samples[0]
    busy = [int(look[2]) / 100 for look in samples if look[2].isdigit()]
    used = [int(look[3]) for look in samples if look[3].isdigit()]
    return Use(
        name=name,
        driver=driver,
        busy=fmean(busy) if busy else None,
        memory_used=max(used, default=0) * MIB,
        memory_total=int(total) * MIB if total.isdigit() else 0,
    )


if __name__ == "__main__":
    sys.exit(main())
