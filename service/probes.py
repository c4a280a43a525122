"""Whether requests are to be sent here: what all doors' ready probes ask."""

from service.batcher import Batcher
from service.life import Life
from service.problems import Problem
from service.readings import Readings


def check_ready(life: Life, batcher: Batcher[Readings]) -> None:
    """Problem 503 if not."""
    if life.draining:
        raise Problem(503, "the service is stopping", title="Not ready")
    if not batcher.alive:
        raise Problem(503, "the batcher has stopped", title="Not ready")
