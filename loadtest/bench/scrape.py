"""What GET /metrics costs while the service is busy: the scraper, and the other clients.

    alone     a scraper scrapes again and again, without other load
    without   MANY connections post images, without a scraper
    with      both

On one core, with one worker and with two. The scraper keeps its connection, as Prometheus does, and
scrapes far more often than Prometheus would, so that there is something to count.
"""

import time
from dataclasses import dataclass
from functools import partial

from loadtest.bench.measure import WARM_UP, Plan
from loadtest.client.asyncio_client import Attempt, sampling
from loadtest.client.requests import SampleImages, get
from loadtest.client.result import Load, quantile
from loadtest.errors import CannotMeasure
from loadtest.target.server import started
from loadtest.target.targets import MANY, Target

METRICS = "/metrics"
WORKERS = (1, 2)
PAUSE = 0.15  # seconds between two scrapes; within 0.1 the service would give the same text


@dataclass(frozen=True)
class Scrapes:
    workers: int
    lines: int  # of the text
    alone: list[float]  # seconds a scrape, without other requests
    busy: list[float]  # the same while MANY connections do
    without: Load
    load: Load  # with scrapes

    @property
    def quantiles(self) -> tuple[float, ...]:
        """Seconds: p50 and p99 alone, p50 and p99 of the busy."""
        return tuple(quantile(each, q) for each in (self.alone, self.busy) for q in (0.5, 0.99))


def scrapes(target: Target, images: SampleImages, plan: Plan, *, workers: int) -> Scrapes:
    requests = images.requests
    target = target.with_settings(workers=workers)
    with started(target, plan.cores.server, probe=requests[0]) as running:

        def load(seconds: float) -> Load:
            return plan.tool.run_load(running.address, requests, connections=MANY, seconds=seconds)

        scraping = partial(sampling, running.address, [get(METRICS)], connections=1, pause=PAUSE)
        load(min(WARM_UP, plan.seconds))
        with scraping() as alone:
            time.sleep(plan.seconds)
        without = load(plan.seconds)
        with scraping() as busy:
            busied = load(plan.seconds)
        text = running.send(get(METRICS)).body
    return Scrapes(
        workers, text.count(b"\n"), _seconds(alone), _seconds(busy), without=without, load=busied
    )


def _seconds(attempts: list[Attempt]) -> list[float]:
    """CannotMeasure if one was not answered."""
    for each in attempts:
        if each.status != 200:
            raise CannotMeasure(f"a scrape was answered {each.status} {each.lost}".strip())
    return [each.seconds for each in attempts]
