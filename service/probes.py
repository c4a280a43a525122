"""Whether requests are to be sent here: what all doors' ready probes ask."""

from service.batching.batcher import Batcher
from service.errors import Problem
from service.lifecycle import Life
from service.problem_types.operation import NOT_READY, STOPPING
from service.readings import Readings


def check_ready(life: Life, batcher: Batcher[Readings]) -> None:
    """Problem 503 if not."""
    if life.draining:
        raise Problem(STOPPING, "the service is stopping")
    if not batcher.alive:
        raise Problem(NOT_READY, "the batcher has stopped")
