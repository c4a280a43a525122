"""Load tests as they might have gone, with round numbers: what is made of them can be checked."""

from collections import Counter
from pathlib import Path

from loadtest.exposition import Exposition
from loadtest.slo import Slo
from loadtest.trial.result import Result
from loadtest.trial.second import Second, Told
from loadtest.trial.step import Asking, Service, Step
from loadtest.watch import Look, Use
from tests.loadtest.test_document import CONDITIONS

SLO = Slo(p99=0.050, errors=0.001)
THINK = 0.25  # seconds
STARTED = 1_000_000  # since 1970
ASKING = Asking(think=THINK, cores=1, all_cores=2, started=STARTED)
IDLE = Service(batch=1.0, queue=0.0, shed=0.0, cpu=0.5)


def told(right: int, time: float, failed: int = 0, refused: int = 0, tail: float = 2.0) -> Told:
    """Two in a hundred take `tail` times as long."""
    slow = right // 50
    return Told(failed, refused, Counter({time: right - slow, time * tail: slow}))


def step(
    users: int,
    *,
    carried: float = 1.0,
    time: float = 0.01,
    errors: float = 0.0,
    generator: float = 0.3,
) -> Step:
    """Ten seconds, in which a share of what was offered was carried; p99 is twice `time`."""
    right = round(users / THINK * carried * 10)
    return Step(
        users=users,
        offered=users / THINK,
        began=0.0,
        seconds=10,
        told=told(right, time, failed=round(right * errors)),
        service=IDLE,
        generator=generator,
        others=0.0,
    )


def result(
    folder: Path,
    *,
    most: float = 1000.0,
    generator: float = 1e-4,
    users: tuple[int, ...] = (50, 100, 150, 200, 250, 300, 350, 400),
    seconds: int = 12,
    shape: str = "steps",
    refuses: bool = True,
) -> Result:
    """Of a service that answers `most` requests a second; `generator`: its CPU seconds a request.

    More than that wait, 20 ms for each hundred, and beyond 60 ms are refused.
    """
    every: list[Second] = []
    looks: list[Look] = [_look(0, 0, 0, 0, 0, 0.0, 0.0, 0.0)]
    asked = shed = batches = 0
    waited = cpu = taken = 0.0
    for each in users:
        for _ in range(seconds):
            offered = each / THINK
            right = min(offered, most)
            over = offered - right
            time = 0.002 + 0.004 * (right / most) ** 4 + min(0.060, over * 0.0002)
            refused = int(over / 4) if refuses and over > 150 else 0
            every.append(
                Second(STARTED + len(every), each, {"png": told(int(right), time, 0, refused, 2.5)})
            )
            asked += int(right) + refused
            shed += refused
            batches += int(right / (1 + 30 * (right / most) ** 6))
            waited += right * (time - 0.002)
            cpu += min(1.0, right / most)
            taken += min(1.0, right * generator)
            looks.append(_look(len(every), asked, shed, batches, asked - shed, waited, cpu, taken))
    return Result(folder, CONDITIONS, shape, SLO, ASKING, every, looks)


def _look(
    at: int,
    asked: int,
    shed: int,
    batches: int,
    pictures: int,
    waited: float,
    cpu: float,
    generator: float,
) -> Look:
    metrics = Exposition.read(
        f'digitserve_http_requests_total{{code="200"}} {asked - shed}\n'
        f'digitserve_http_requests_total{{code="503"}} {shed}\n'
        f"digitserve_shed_total {shed}\n"
        f"digitserve_batch_size_count {batches}\n"
        f"digitserve_batch_size_sum {pictures}\n"
        f"digitserve_queue_wait_seconds_sum {waited}\n"
    )
    use = Use(1, cpu, 100 << 20, 90 << 20, 20, 5)
    return Look(float(at), 0.001, metrics, "", use, generator)
