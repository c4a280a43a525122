"""The service with a number of workers, on all cores: pictures a second, and what they take.

Started anew for each number of workers; loaded with single PNGs, then with binary batches. Nothing
is pinned: the kernel places workers and client.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from loadtest.bench.measure import WARM_UP, Tool
from loadtest.client.requests import Pictures, picture, tensor
from loadtest.client.result import Load
from loadtest.errors import CannotMeasure
from loadtest.host.gpu import GpuUse, use_of
from loadtest.target.engine_status import Runs, proven
from loadtest.target.monitor import monitored
from loadtest.target.server import Running, started
from loadtest.target.targets import Target

CONNECTIONS = 64  # a worker, with single pictures
BATCH_CONNECTIONS = 8  # a worker: the kernel deals them out by chance, and none should go without
BATCHES = (64, 256)  # pictures in a batch
MOST = 8  # workers, if nobody says how many
# Of a start: libraries of 2 GB read by every worker, or TensorRT's engines built for every bucket.
PATIENCE = 600.0


@dataclass(frozen=True)
class Plan:
    provider: str
    model: str
    tool: Tool
    seconds: float  # a load


@dataclass(frozen=True)
class Row:
    pictures: int  # of a request
    load: Load
    cores: float  # CPU seconds a second, of all processes of the service
    gpu: GpuUse | None  # None: the service exports nothing of it

    @property
    def rate(self) -> float:
        """Pictures a second, those that were refused left out."""
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
    """1, 2, 4, ... and the most."""
    return sorted({2**power for power in range(most.bit_length())} | {most})


def default_most() -> int:
    """A core is left to the client."""
    return max(1, min(MOST, cores() - 1))


def cores() -> int:
    return len(os.sched_getaffinity(0))


def crew(target: Target, pictures: Pictures, plan: Plan, *, workers: int) -> Crew:
    """CannotMeasure if it does not start, or does not run on the plan's provider."""
    target = target.with_settings(workers=workers, provider=plan.provider)
    singles = [picture(png) for png in pictures.pngs]
    clients = max(1, min(workers, cores() - workers))
    with started(target, probe=singles[0], patience=PATIENCE) as running:
        runs = proven(running, plan.provider, workers)
        rows, skipped = [], []
        for each, requests in _loads(pictures, singles, plan.model):
            why = _why_not(running, requests[0], each)
            if why:
                skipped.append(why)
                continue
            ask = partial(
                plan.tool.ask,
                running.address,
                requests,
                connections=workers * (CONNECTIONS if each == 1 else BATCH_CONNECTIONS),
                threads=clients,
            )
            ask(seconds=min(WARM_UP, plan.seconds))
            rows.append(_row(running, each, partial(ask, seconds=plan.seconds)))
        proven(running, plan.provider, workers)  # still: one may have been replaced meanwhile
        return Crew(workers, clients, runs, running.memory().proportional, rows, skipped)


def _loads(
    pictures: Pictures, singles: list[bytes], model: str
) -> Iterator[tuple[int, list[bytes]]]:
    """Pictures of a request, and the requests."""
    yield 1, singles
    for size in BATCHES:
        yield size, [tensor(model, pictures.batch(size))]


def _row(running: Running, pictures: int, load: Callable[[], Load]) -> Row:
    with monitored(str(running.address)) as observations:
        cpu = running.cpu.seconds()
        done = load()
        cpu = running.cpu.seconds() - cpu
    if not done.good:
        raise CannotMeasure(f"no answer to {pictures} a request: {done}")
    return Row(pictures, done, cpu / done.seconds, use_of(observations))


def _why_not(running: Running, request: bytes, pictures: int) -> str:
    answer = running.ask(request)
    if answer.status < 400:
        return ""
    said = answer.body[:300].decode(errors="replace")
    return f"{pictures} pictures a request: answered {answer.status}: {said}"
