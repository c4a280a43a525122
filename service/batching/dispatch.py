"""One model call for a batch, or several smaller ones if it fails.

A batch that raises is halved until only the callers whose pictures fail alone have failed.

Tell callers what became of their pictures: each once, and none at another's cost.
"""

import logging
from contextlib import suppress
from time import perf_counter

import numpy as np

from service.batching.interface import (
    Answers,
    Batch,
    DeadlinePassed,
    Model,
    ModelFailed,
    Outcome,
    Run,
    Waiting,
)


def outcomes_of(model: Model[Answers], batch: Batch[Answers]) -> list[Outcome[Answers]]:
    left = perf_counter()
    try:
        if len(batch) == 1:
            pixels = batch[0].pixels
        else:
            pixels = np.concatenate([waiting.pixels for waiting in batch])  # (n, 28, 28)
        answers = model(pixels)
        if len(answers) != len(pixels):
            raise ValueError(f"the model gave {len(answers)} answers to {len(pixels)} pictures")
    except BaseException as error:  # whatever a model may raise, it must not end the loop
        if len(batch) == 1:
            failure = ModelFailed("the model cannot answer this picture")
            failure.__cause__ = error
            return [(batch, failure)]
        half = len(batch) // 2
        return outcomes_of(model, batch[:half]) + outcomes_of(model, batch[half:])
    return [(batch, Run(answers, left, perf_counter() - left))]


log = logging.getLogger("service")


def tell(batch: Batch[Answers], run: Run[Answers], now: float) -> tuple[int, float]:
    """How many of a batch's callers were answered, and the seconds that they had waited in all.

    Those who are too late by now, on perf_counter, hear that; those who hung up hear nothing.
    """
    first = told = 0
    total = 0.0  # seconds
    for waiting in batch:
        if waiting.deadline <= now:
            fail(waiting, DeadlinePassed("the deadline passed in the model"))
        else:
            caller, waiting.caller = waiting.caller, None
            if caller is not None:  # it did not hang up meanwhile
                waited = run.left - waiting.arrived
                try:
                    caller.answered(run, first, waited)
                    told += 1
                    total += waited
                except Exception as error:  # of ours: it must not cost others' answers
                    log.exception("an answer could not be given")
                    with suppress(Exception):
                        caller.failed(error)
        first += len(waiting.pixels)
    return told, total


def fail(waiting: Waiting[Answers], error: Exception) -> None:
    """The same of an error; nothing if it was told already, or hung up."""
    caller, waiting.caller = waiting.caller, None
    if caller is not None:
        try:
            caller.failed(error)
        except Exception:  # as above
            log.exception("a failure could not be told")
