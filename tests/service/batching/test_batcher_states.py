"""In any order of events, every accepted request gets exactly one answer."""

import asyncio
import threading
from time import perf_counter
from typing import NamedTuple

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from service.batching.batcher import Batcher
from service.batching.interface import (
    BatchResult,
    Closed,
    DeadlinePassed,
    ModelFailed,
    Place,
    QueuedRequest,
    QueueFull,
)
from service.tensors import Pixels

BAD = 255  # first byte of an image that the model cannot read
SOON, LATER = 0.004, 60.0  # seconds


class Answer(NamedTuple):
    number: int  # of the caller
    version: int  # of the model


class Model:
    """Answers with the number in each image when it gets a turn; records those computed."""

    def __init__(self) -> None:
        self.version = 1
        self.computed: set[int] = set()
        self.turns = threading.Semaphore(0)
        self.entered = threading.Event()

    def __call__(self, pixels: Pixels) -> list[Answer]:
        version = self.version
        numbers = [int(picture[0, 1]) << 8 | int(picture[0, 2]) for picture in pixels]
        self.entered.set()
        assert self.turns.acquire(timeout=30)
        self.computed.update(numbers)
        if BAD in pixels[:, 0, 0]:
            self.turns.release(2)  # both halves follow
            raise ValueError("cannot read this image")
        return [Answer(number, version) for number in numbers]


class Caller:
    def __init__(self, number: int, pictures: int, bad: bool, version: int) -> None:
        self.number = number
        self.pictures = pictures
        self.bad = bad
        self.version = version  # of the model at arrival
        self.reported: list[list[Answer] | Exception] = []
        self.waiting: QueuedRequest[list[Answer]] | None = None
        self.left_from: Place | None = None  # where it was when it was cancelled

    @property
    def pixels(self) -> Pixels:
        pixels = np.zeros((self.pictures, 28, 28), np.uint8)
        pixels[:, 0, 1], pixels[:, 0, 2] = self.number >> 8, self.number & 255
        pixels[-1, 0, 0] = BAD if self.bad else 0
        return pixels

    def answered(self, run: BatchResult[list[Answer]], first: int, waited: float) -> None:
        assert waited >= 0
        self.reported.append(run.answers[first : first + self.pictures])

    def failed(self, error: Exception) -> None:
        self.reported.append(error)


class Batching(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.model = Model()
        self.batcher = Batcher[list[Answer]](
            lambda pixels: self.model(pixels), max_batch=4, max_wait=0, max_queue=9
        )
        self.callers: list[Caller] = []
        self.closing: asyncio.Task[None] | None = None
        self.loop.run_until_complete(self.batcher.__aenter__())

    def turn(self, seconds: float = 0.0) -> None:
        """Let the event loop run everything that is due."""
        self.loop.run_until_complete(asyncio.sleep(seconds))
        self.loop.run_until_complete(asyncio.sleep(0))

    @rule(
        pictures=st.integers(1, 4),
        bad=st.sampled_from([False, False, False, True]),
        within=st.sampled_from([LATER, LATER, SOON, -1.0]),
    )
    def arrive(self, pictures: int, bad: bool, within: float) -> None:
        caller = Caller(len(self.callers), pictures, bad, self.model.version)
        self.callers.append(caller)

        async def submit() -> None:
            try:
                caller.waiting = self.batcher.submit(
                    caller, caller.pixels, deadline=perf_counter() + within
                )
                assert self.closing is None
            except QueueFull:
                assert self.batcher.depth > 0
            except DeadlinePassed:  # at arrival, behind a full batch
                assert within <= SOON
                assert self.batcher.depth >= 4
            except Closed:
                assert self.closing is not None

        self.loop.run_until_complete(submit())

    @precondition(lambda self: self.callers)
    @rule(which=st.integers(0, 30))
    def cancel(self, which: int) -> None:
        caller = self.callers[which % len(self.callers)]
        reported = len(caller.reported)
        if caller.waiting is None:  # it was rejected
            return
        place = self.batcher.cancel(caller.waiting)
        assert (place is None) == (reported > 0 or caller.left_from is not None)
        caller.left_from = caller.left_from or place

    @rule()
    def model_finishes(self) -> None:
        """Finish the running call, if there is one, and everything that follows from it."""
        self.turn()
        if self.model.entered.is_set():
            self.model.entered.clear()
            self.model.turns.release()
        self.turn(0.002)

    @rule()
    def time_passes(self) -> None:
        self.turn(2 * SOON)

    @rule()
    def swap(self) -> None:
        self.model.version += 1

    @precondition(lambda self: self.closing is None)
    @rule(rarely=st.integers(0, 9))
    def shut_down(self, rarely: int) -> None:
        if rarely == 0:
            self.closing = self.loop.create_task(self.batcher.__aexit__(None, None, None))
            self.turn()

    @invariant()
    def the_queue_is_bounded(self) -> None:
        assert 0 <= self.batcher.depth <= 9

    @invariant()
    def no_request_is_answered_twice(self) -> None:
        assert all(len(caller.reported) <= 1 for caller in self.callers)

    def teardown(self) -> None:
        self.model.turns.release(1000)
        if self.closing is None:
            self.closing = self.loop.create_task(self.batcher.__aexit__(None, None, None))
        self.loop.run_until_complete(asyncio.wait_for(self.closing, 30))
        self.turn()
        self.loop.close()
        assert self.batcher.depth == 0
        for caller in self.callers:
            if caller.waiting is None:
                assert caller.reported == []
            else:
                self.check(caller)

    def check(self, caller: Caller) -> None:
        if caller.left_from is not None:
            assert caller.reported == []
            if caller.left_from == "queue":
                assert caller.number not in self.model.computed
            return
        (outcome,) = caller.reported
        if isinstance(outcome, DeadlinePassed):
            if "queue" in str(outcome):
                assert caller.number not in self.model.computed
        elif isinstance(outcome, ModelFailed):
            assert caller.bad
        else:
            assert not isinstance(outcome, Exception)
            assert not caller.bad
            assert [answer.number for answer in outcome] == [caller.number] * caller.pictures
            (version,) = {answer.version for answer in outcome}  # of one model, not of two
            assert caller.version <= version <= self.model.version


Batching.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestBatching = Batching.TestCase
