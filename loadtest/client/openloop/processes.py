"""Generators in as many processes, each with its share of the rate and a core of its own.

Requests are due as a Poisson process, as of many independent clients; the sum of several is one
too. The generators begin together: each waits until all are ready.
"""

import math
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from multiprocessing.synchronize import Barrier
from threading import BrokenBarrierError

import numpy as np

from loadtest.client.openloop.generator import CONNECTIONS, PATIENCE, generate
from loadtest.client.openloop.result import Outcomes, Times
from loadtest.client.requests import ExpectedRequest
from loadtest.client.result import Address
from loadtest.errors import CannotMeasure
from loadtest.host.machine import on

START = 60.0  # seconds until all are ready


@dataclass(frozen=True)
class LoadSpec:
    """A load on a server: which requests, how many a second, and for how long."""

    address: Address
    requests: Sequence[ExpectedRequest]
    rate: float  # requests a second
    seconds: float
    seed: tuple[int, ...]
    connections: int = CONNECTIONS  # of each generator, at most
    ready: int = 0  # connections of each that are made before the time begins
    patience: float = PATIENCE  # seconds for outstanding answers at the end

    def share(self, number: int, generators: int) -> "LoadSpec":
        """The part of one of so many generators."""
        return replace(self, rate=self.rate / generators, seed=(*self.seed, number))


def run_processes(
    spec: LoadSpec, cores: Sequence[int], begin: Callable[[], object] = lambda: None
) -> Outcomes:
    """Run one generator on each of the cores; a single one runs in this process.

    `begin` is called here, once all are ready and before any request is due.
    """
    if len(cores) == 1:
        with on(cores[0]):
            return _generated(spec.share(0, 1), begin)
    context = get_context("spawn")
    together = context.Barrier(len(cores) + 1, timeout=START + spec.patience)
    pipes, processes = [], []
    for number, core in enumerate(cores):
        pipe, theirs = context.Pipe(duplex=False)
        share = spec.share(number, len(cores))
        process = context.Process(target=_run, args=(share, core, together, theirs), daemon=True)
        process.start()
        theirs.close()
        pipes.append(pipe)
        processes.append(process)
    try:
        together.wait()
        begin()
        together.wait()
        return Outcomes.together([_received(pipe, spec) for pipe in pipes])
    except BrokenBarrierError:
        raise CannotMeasure("the generators did not get ready") from None
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _generated(spec: LoadSpec, begin: Callable[[], object]) -> Outcomes:
    intended = poisson(spec.rate, spec.seconds, spec.seed)
    return generate(
        spec.address,
        spec.requests,
        intended,
        connections=spec.connections,
        ready=spec.ready,
        patience=spec.patience,
        begin=begin,
    )


def _run(spec: LoadSpec, core: int, together: Barrier, pipe: Pipe) -> None:
    """The work of one process. It ignores Ctrl-C: the process that started it ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def begin() -> None:
        together.wait()  # until all are ready
        together.wait()  # until the one that started them has begun

    with on(core):
        pipe.send(_generated(spec, begin))


def _received(pipe: Pipe, spec: LoadSpec) -> Outcomes:
    try:
        if pipe.poll(START + spec.seconds + spec.patience + START):
            outcomes: Outcomes = pipe.recv()
            return outcomes
    except EOFError:
        pass
    raise CannotMeasure("a generator ended before it reported its outcomes")


def poisson(rate: float, seconds: float, seed: Sequence[int]) -> Times:
    """When requests are due: `rate` a second for so long, in order; equal for equal seeds."""
    random = np.random.default_rng(list(seed))
    expected = rate * seconds
    some = math.ceil(expected + 5 * math.sqrt(expected) + 10)  # nearly always enough
    times = np.cumsum(random.exponential(1 / rate, some))
    while times[-1] < seconds:
        times = np.append(times, times[-1] + np.cumsum(random.exponential(1 / rate, some)))
    return times[times < seconds]
