"""Far more connections than the service can answer: what it sends to those that it refuses.

    before   a sampler sends occasional requests over a few connections: this is normal
    load     wrk loads CONNECTIONS connections as fast as it can, refused or not; the sampler
             goes on, waits as Retry-After demands, and times answers separately by status
    after    the load has ended; the sampler shows when answers are normal again

The service is started with a queue for at most a tenth of the connections. The most it answers is
measured on the same process first, with so few connections that none is refused.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from loadtest.bench.measure import Plan
from loadtest.client.asyncio_client import Attempt, sampling
from loadtest.client.requests import SampleImages
from loadtest.client.result import quantile
from loadtest.host.processes import Memory
from loadtest.target.server import Running, started
from loadtest.target.targets import Target

NEEDED = 64  # connections that keep it busy
CONNECTIONS = 10 * NEEDED
SAMPLERS = 32  # connections of the sampler
PAUSE = 0.02  # seconds between two requests of each
NORMAL = 0.010  # seconds, or three times what it took before the load, whichever is longer
STEADY = 50  # answers in a row
WATCH = 3.0  # seconds before and after the load, at most
OK, REFUSED = 200, 503
EVERY = 0.1  # seconds between two readings of the memory


@dataclass(frozen=True)
class Overload:
    queue: int  # DIGITSERVE_MAX_QUEUE
    connections: int
    seconds: float
    most: float  # answers a second when none is refused
    good: float  # answers a second, of status 200, under the load
    refused: float  # the others, a second
    broken: int  # connections and answers of the load that failed
    statuses: dict[int, int]  # what the sampler got under the load; 0: no answer
    lost: list[str]  # why the sampler got no answer, each reason once
    without_retry_after: int  # of the refusals
    refusal_p50: float  # seconds
    refusal_p99: float
    good_p50: float
    good_p99: float
    before: Memory
    during: int  # bytes, RSS of all processes, the highest reading
    after: Memory
    normal_after: float | None  # seconds from the load's end; None: not while it was watched

    @property
    def kept(self) -> float:
        """Throughput under the load, as a share of the most."""
        return self.good / self.most if self.most else 0.0


def overload(
    target: Target, images: SampleImages, plan: Plan, *, seconds: float, queue: int
) -> Overload:
    requests = images.requests
    target = target.with_settings(max_queue=queue)
    watch = min(WATCH, seconds)
    with started(target, plan.cores.server, probe=requests[0]) as running:
        most = plan.tool.run_load(
            running.address, requests, connections=min(NEEDED, queue), seconds=plan.seconds
        )
        before = running.memory()
        with sampling(running.address, requests, connections=SAMPLERS, pause=PAUSE) as attempts:
            time.sleep(watch)
            began = time.perf_counter()
            with _peak(running) as peak:
                load = plan.tool.run_load(
                    running.address, requests, connections=CONNECTIONS, seconds=seconds
                )
            ended = time.perf_counter()
            time.sleep(watch)
        after = running.memory()
    sampled = [each for each in attempts if began <= each.began <= ended]
    refusals = [each for each in sampled if each.status == REFUSED]
    good = [each.seconds for each in sampled if each.status == OK]
    return Overload(
        queue=queue,
        connections=CONNECTIONS,
        seconds=load.seconds,
        most=most.good / most.seconds,
        good=load.good / load.seconds,
        refused=load.refused / load.seconds,
        broken=load.broken,
        statuses=dict(sorted(Counter(each.status for each in sampled).items())),
        lost=sorted({each.lost for each in sampled if each.lost}),
        without_retry_after=sum(not each.retry_after for each in refusals),
        refusal_p50=quantile([each.seconds for each in refusals], 0.5),
        refusal_p99=quantile([each.seconds for each in refusals], 0.99),
        good_p50=quantile(good, 0.5),
        good_p99=quantile(good, 0.99),
        before=before,
        during=max(peak),
        after=after,
        normal_after=normal_after(attempts, began, ended),
    )


def normal_after(attempts: list[Attempt], began: float, ended: float) -> float | None:
    """Seconds from the load's end to the first of STEADY normal answers in a row."""
    usual = quantile([each.seconds for each in attempts if each.ended < began], 0.5)
    limit = max(NORMAL, 3 * usual)
    row: list[Attempt] = []
    for each in sorted(attempts, key=lambda one: one.ended):
        if each.ended < ended:
            continue
        row = [*row, each] if each.status == OK and each.seconds <= limit else []
        if len(row) == STEADY:
            return row[0].ended - ended
    return None


@contextmanager
def _peak(running: Running) -> Iterator[list[int]]:
    """The memory of all processes, read meanwhile."""
    readings = [running.resident()]
    done = threading.Event()

    def read() -> None:
        while not done.wait(EVERY):
            readings.append(running.resident())

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield readings
    finally:
        done.set()
        thread.join()
