"""One model call for a batch, or several smaller ones if it fails.

A batch that raises is halved until only the callers whose pictures fail alone have failed.
"""

from time import perf_counter

import numpy as np

from service.waiting import Answers, Batch, Model, ModelFailed, Outcome, Run


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
