"""Run the model on a batch and deliver the results, each caller's exactly once.

A batch that raises is halved until only those callers fail whose own images make the model fail. A
Problem is that of every caller in the batch, except for AnsweredNaN, which some of its images
cause. A caller that raises costs no other caller its result.
"""

import logging
from contextlib import suppress
from time import perf_counter

import numpy as np

from service.batching.interface import (
    AnsweredNaN,
    Answers,
    Batch,
    BatchResult,
    DeadlinePassed,
    Model,
    ModelFailed,
    Outcome,
    QueuedRequest,
)
from service.errors import Problem


def run_with_bisection(model: Model[Answers], batch: Batch[Answers]) -> list[Outcome[Answers]]:
    started_at = perf_counter()
    try:
        if len(batch) == 1:
            pixels = batch[0].pixels
        else:
            pixels = np.concatenate([waiting.pixels for waiting in batch])
        answers = model(pixels)
        if len(answers) != len(pixels):
            raise ValueError(f"the model gave {len(answers)} answers to {len(pixels)} images")
    except BaseException as error:  # whatever a model may raise, it must not end the loop
        of_all = not isinstance(error, AnsweredNaN) or len(batch) == 1
        if isinstance(error, Problem) and of_all:
            return [(batch, error)]
        if len(batch) == 1:
            failure = ModelFailed("the model cannot answer this image")
            failure.__cause__ = error
            return [(batch, failure)]
        half = len(batch) // 2
        return run_with_bisection(model, batch[:half]) + run_with_bisection(model, batch[half:])
    return [(batch, BatchResult(answers, started_at, perf_counter() - started_at))]


log = logging.getLogger("service")


def deliver(batch: Batch[Answers], run: BatchResult[Answers], now: float) -> tuple[int, float]:
    """Call every caller of a batch; returns how many were answered, and their total wait (s).

    Those whose deadline is before `now`, on perf_counter, fail; those that hung up are skipped.
    """
    first = answered = 0
    total = 0.0  # seconds
    for waiting in batch:
        if waiting.deadline <= now:
            fail(waiting, DeadlinePassed("the deadline passed in the model"))
        else:
            caller, waiting.caller = waiting.caller, None
            if caller is not None:  # it did not hang up meanwhile
                waited = run.started_at - waiting.arrived
                try:
                    caller.answered(run, first, waited)
                    answered += waiting.requests
                    total += waited * waiting.requests
                except Exception as error:  # of ours: it must not cost others' answers
                    log.exception("an answer could not be given")
                    with suppress(Exception):
                        caller.failed(error)
        first += len(waiting.pixels)
    return answered, total


def fail(waiting: QueuedRequest[Answers], error: Exception) -> None:
    """Fail a caller, unless it was called already or hung up."""
    caller, waiting.caller = waiting.caller, None
    if caller is not None:
        try:
            caller.failed(error)
        except Exception:  # as above
            log.exception("a failure could not be delivered")
