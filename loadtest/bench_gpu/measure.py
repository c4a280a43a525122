"""What is measured on a GPU: the engine without HTTP, and the service with a number of workers.

The service is started anew for each number of workers, and loaded with single PNGs, then with
binary batches. Nothing is pinned: the kernel places workers and client. How busy the GPU is and how
much of its memory is used is what the service exports: it reads NVML once a second for
`digitserve_gpu_*`, and where it cannot, there are no such metrics.
"""

import contextlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any, Self

from loadtest.bench.measure import WARM_UP, Tool, refusal_of
from loadtest.client.asyncio_client import LOST
from loadtest.client.requests import STATUS, SampleImages, get, tensor
from loadtest.client.result import Load
from loadtest.errors import CannotMeasure, NoProvider
from loadtest.host.processes import run
from loadtest.target.monitor import Observation, monitored
from loadtest.target.server import Running, started
from loadtest.target.targets import Target

PRECISIONS = ("fp32", "fp16")
ROUNDS = 5  # of the engine's benchmark
NO_PROVIDER = 2  # its exit code
CONNECTIONS = 64  # a worker, with single pictures
BATCH_CONNECTIONS = 8  # a worker: the kernel distributes them at random, and each should get some
BATCHES = (64, 256)  # pictures in a batch
MOST = 8  # workers, unless the number is given
# Of a start: libraries of 2 GB read by every worker, or TensorRT's engines built for every bucket.
PATIENCE = 600.0
TRIES = 50  # connections a worker; the kernel distributes them at random
DRIVER = Path("/proc/driver/nvidia")


@dataclass(frozen=True)
class Engine:
    """The lists are as service.engine.benchmark writes them: a dict a row."""

    onnxruntime: str  # version
    results: list[dict[str, Any]]  # a row for each precision, way and bucket
    gpu: list[dict[str, Any]]  # how busy it was, a row for each precision and way
    left_out: list[str]  # what does not run here, and why


def engine(models: Path, name: str, provider: str, *, max_batch: str, seconds: float) -> Engine:
    """NoProvider with the reason if the provider does not run here."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "speed.json"
        words = [sys.executable, "-m", "service.engine.benchmark", "--provider", provider]
        words += ["--models", str(models.resolve()), "--model", name, "--json", str(file)]
        words += ["--precision", *PRECISIONS, "--max-batch", max_batch]
        words += ["--rounds", str(ROUNDS), "--seconds", str(seconds)]
        done = run(*words, codes=(0, NO_PROVIDER))
        if done.returncode:
            raise NoProvider(done.stderr.strip().rpartition("service.engine.benchmark: ")[2])
        document = json.loads(file.read_text())
    names = ("onnxruntime", "results", "gpu", "left_out")
    return Engine(**{name: document[name] for name in names})


@dataclass(frozen=True)
class Plan:
    provider: str
    model: str
    tool: Tool
    seconds: float  # a load


@dataclass(frozen=True)
class Runs:
    """What the service runs on, the same in every worker."""

    provider: str
    precision: str
    way: str

    @classmethod
    def of(cls, status: dict[str, Any]) -> Self:
        engine = status["engine"]
        return cls(status["provider"], engine["precision"], engine["way"])

    def __str__(self) -> str:
        return f"{self.provider}, {self.precision}, {self.way}"


@dataclass(frozen=True)
class GpuUse:
    busy: float | None  # fraction of the time in which a kernel ran; None: not exported
    memory_used: int | None  # bytes, at most, of every program
    memory_total: int | None  # bytes


@dataclass(frozen=True)
class Row:
    pictures: int  # of a request
    load: Load
    cores: float  # CPU seconds a second, of all processes of the service
    gpu: GpuUse | None  # None: the service exports nothing of it

    @property
    def rate(self) -> float:
        """Images a second, without those that were refused."""
        return self.pictures * self.load.good / self.load.seconds


@dataclass(frozen=True)
class Crew:
    """What a number of workers did."""

    workers: int
    clients: int  # threads of wrk, or processes of the client in Python
    runs: Runs
    memory: int  # bytes, PSS of all processes after the last load
    rows: list[Row]
    skipped: list[str]  # what could not be measured, and why


def numbers(most: int) -> list[int]:
    """The numbers of workers to measure: 1, 2, 4, ... and the most."""
    return sorted({2**power for power in range(most.bit_length())} | {most})


def default_most() -> int:
    """As many as there are cores, less one for the client."""
    return max(1, min(MOST, cores() - 1))


def cores() -> int:
    return len(os.sched_getaffinity(0))


def crew(target: Target, pictures: SampleImages, plan: Plan, *, workers: int) -> Crew:
    """CannotMeasure if it does not start, or does not run on the plan's provider."""
    target = target.with_settings(workers=workers, provider=plan.provider)
    loads = {1: pictures.requests}
    loads |= {size: [tensor(plan.model, pictures.batch(size))] for size in BATCHES}
    clients = max(1, min(workers, cores() - workers))
    with started(target, probe=loads[1][0], patience=PATIENCE) as running:
        runs = proven(running, plan.provider, workers)
        rows, skipped = [], []
        for size, requests in loads.items():
            if refusal := refusal_of(running, requests[0]):
                skipped.append(f"{size} pictures a request: {refusal}")
                continue
            connections = workers * (CONNECTIONS if size == 1 else BATCH_CONNECTIONS)
            load = partial(
                plan.tool.run_load,
                running.address,
                requests,
                connections=connections,
                threads=clients,
            )
            load(seconds=min(WARM_UP, plan.seconds))
            with monitored(str(running.address)) as observations:
                cpu = running.cpu.seconds()
                done = load(seconds=plan.seconds)
                cpu = running.cpu.seconds() - cpu
            if not done.good:
                raise CannotMeasure(f"no answer to {size} a request: {done}")
            rows.append(Row(size, done, cpu / done.seconds, gpu_use(observations)))
        proven(running, plan.provider, workers)  # again: one may have been replaced meanwhile
        return Crew(workers, clients, runs, running.memory().proportional, rows, skipped)


def proven(running: Running, provider: str, workers: int) -> Runs:
    """What the workers run on; CannotMeasure for another provider, or after a fallback."""
    statuses: dict[int, dict[str, Any]] = {}
    for _ in range(TRIES * workers):
        with contextlib.suppress(*LOST):  # one of them is being replaced
            status = json.loads(running.send(get(STATUS)).body)
            statuses[status["worker"]] = status
        if len(statuses) == workers:
            break
    else:
        raise CannotMeasure(f"only {len(statuses)} of {workers} workers reported what they run on")
    wrong = sorted({reason for each in statuses.values() for reason in _reasons(each, provider)})
    if wrong:
        raise CannotMeasure(f"the service does not run as it was configured: {'; '.join(wrong)}")
    runs = {Runs.of(status) for status in statuses.values()}
    if len(runs) > 1:
        raise CannotMeasure(f"the workers differ: {'; '.join(sorted(map(str, runs)))}")
    return runs.pop()


def _reasons(status: dict[str, Any], provider: str) -> list[str]:
    """Why a status is not that of a service on this provider; empty if it is."""
    found = [
        f"{each['what']} fell back: {each['reason']}" for each in status["engine"]["fallbacks"]
    ]
    if status["provider"] != provider:
        found.insert(0, f"{status['provider']} serves and not {provider}")
    elif status["provider_fallback"] and not found:
        found.append("provider_fallback is true, and no reason is given")
    return found


def gpu_use(observations: Sequence[Observation]) -> GpuUse | None:
    """The use of the service's GPU while it was observed; None if it exports nothing."""
    # The service uses the first visible GPU; NVML counts all of them.
    gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip() or "0"
    metrics = [each.metrics for each in observations if each.metrics]

    def values(name: str, skip: int = 0) -> list[float]:
        found = (each.by(f"digitserve_gpu_{name}", "gpu") for each in metrics[skip:])
        return [of_gpu[gpu] for of_gpu in found if gpu in of_gpu]

    # NVML's utilization is an average of up to a second: the first ones are from before the load.
    busy = values("utilization_ratio", len(metrics) // 4)
    used, total = values("memory_used_bytes"), values("memory_total_bytes")
    if not (busy or used or total):
        return None
    return GpuUse(
        busy=fmean(busy) if busy else None,
        memory_used=int(max(used)) if used else None,
        memory_total=int(max(total)) if total else None,
    )


def description() -> str:
    """Model and driver of the machine's GPUs; empty without a driver of NVIDIA's."""
    models = [
        line.partition(":")[2].strip()
        for file in sorted(DRIVER.glob("gpus/*/information"))
        for line in file.read_text().splitlines()
        if line.startswith("Model:")
    ]
    version = (DRIVER / "version").read_text().splitlines()[0] if models else ""
    return ", ".join([*models, version]) if models else ""
