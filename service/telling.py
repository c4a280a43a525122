"""Tell callers what became of their pictures: each once, and none at another's cost."""

import logging
from contextlib import suppress

from service.waiting import Answers, Batch, DeadlinePassed, Run, Waiting

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
