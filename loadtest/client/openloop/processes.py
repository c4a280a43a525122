"""Generators in as many processes, each with its share of the rate: a core of its own for each.

The sum of Poisson processes is one. They begin together: each waits until all are ready.
"""

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from multiprocessing.synchronize import Barrier
from threading import BrokenBarrierError

from loadtest.client.openloop.arrivals import poisson
from loadtest.client.openloop.expectation import Question
from loadtest.client.openloop.generator import CONNECTIONS, PATIENCE, generate
from loadtest.client.openloop.result import Heard
from loadtest.client.result import Address
from loadtest.errors import CannotMeasure
from loadtest.host.machine import on

START = 60.0  # seconds until all are ready


@dataclass(frozen=True)
class Offer:
    """What is asked of a server for a while."""

    address: Address
    questions: Sequence[Question]
    rate: float  # requests a second
    seconds: float
    seed: tuple[int, ...]
    connections: int = CONNECTIONS  # of each generator, at most
    ready: int = 0  # connections of each that are made before the time begins
    patience: float = PATIENCE  # seconds for outstanding answers at the end

    def share(self, number: int, generators: int) -> "Offer":
        """Of one of so many generators."""
        return replace(self, rate=self.rate / generators, seed=(*self.seed, number))


def made(offer: Offer, cores: Sequence[int], begin: Callable[[], object] = lambda: None) -> Heard:
    """By one generator on each of the cores; one alone runs in this process.

    `begin` is called here, once all are ready and before any request is due.
    """
    if len(cores) == 1:
        with on(cores[0]):
            return _generated(offer.share(0, 1), begin)
    context = get_context("spawn")
    together = context.Barrier(len(cores) + 1, timeout=START + offer.patience)
    pipes, processes = [], []
    for number, core in enumerate(cores):
        pipe, theirs = context.Pipe(duplex=False)
        share = offer.share(number, len(cores))
        process = context.Process(target=_run, args=(share, core, together, theirs), daemon=True)
        process.start()
        theirs.close()
        pipes.append(pipe)
        processes.append(process)
    try:
        together.wait()
        begin()
        together.wait()
        return Heard.together([_told(pipe, offer) for pipe in pipes])
    except BrokenBarrierError:
        raise CannotMeasure("the generators did not get ready") from None
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _generated(offer: Offer, begin: Callable[[], object]) -> Heard:
    intended = poisson(offer.rate, offer.seconds, offer.seed)
    return generate(
        offer.address,
        offer.questions,
        intended,
        connections=offer.connections,
        ready=offer.ready,
        patience=offer.patience,
        begin=begin,
    )


def _run(offer: Offer, core: int, together: Barrier, pipe: Pipe) -> None:
    """A process. Ctrl-C is for the one that started it, which ends this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def begin() -> None:
        together.wait()  # until all are ready
        together.wait()  # until the one that started them has begun

    with on(core):
        pipe.send(_generated(offer, begin))


def _told(pipe: Pipe, offer: Offer) -> Heard:
    try:
        if pipe.poll(START + offer.seconds + offer.patience + START):
            heard: Heard = pipe.recv()
            return heard
    except EOFError:
        pass
    raise CannotMeasure("a generator ended before it told what it heard")
