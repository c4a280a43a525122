"""Which faults happen and when, drawn from the seed alone.

Faults of one lane are sequential, those of different lanes overlap. Each lane runs all of its
faults in random order before it repeats one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random

from tools.chaos.unruly import UNRULY
from tools.swap import VERSIONS

DAMAGES = (
    "card is garbage", "card is a FIFO", "card is a link", "card is gone", "model is cut short",
    "model is a FIFO", "folder is gone", "current is garbage", "current is a FIFO",
    "current is gone",
)  # fmt: skip
WORKERS = 3


@dataclass(frozen=True)
class Lane:
    faults: Sequence[str]
    pause: tuple[float, float]  # seconds between the end of a fault and the next one
    lasts: tuple[float, float]  # duration in seconds of faults that last


LANES: Mapping[str, Lane] = {
    "processes": Lane(["kill", "kill", "stop", "stop", "terminate"], (4, 9), (1, 7)),
    "store": Lane(
        [*["activate"] * 4, *["follow"] * 3, *["rollback"] * 2, *["kill in a switch"] * 2,
         "loop", "greedy", *DAMAGES],
        (1, 4), (2, 5),
    ),
    "surroundings": Lane(["disk full", "unread", "no temporary files", "squeeze"], (4, 10), (2, 8)),
    "clients": Lane([*UNRULY], (2, 6), (2, 5)),
}  # fmt: skip
ALL = frozenset(kind for lane in LANES.values() for kind in lane.faults)
LONGEST_STOP = 33.0  # seconds: a worker that is silent for 30 is replaced
LONG_RUN = 100.0  # seconds after which there is such a stop


@dataclass(frozen=True)
class Planned:
    """A fault with all random values, whether its kind needs them or not."""

    pause: float  # seconds before it
    kind: str
    seconds: float
    worker: int
    version: int
    chance: float  # from 0 to 1
    seed: int


def schedule(seed: int, seconds: float) -> dict[str, list[Planned]]:
    """Lane -> its faults in order, as many as may be needed."""
    planned = {
        name: list(_lane(Random(f"{seed}/{name}"), lane, seconds)) for name, lane in LANES.items()
    }
    if seconds >= LONG_RUN:
        random = Random(f"{seed}/long stop")
        stops = [n for n, each in enumerate(planned["processes"]) if each.kind == "stop"]
        place = random.choice(stops[: max(1, int(seconds / 60))])
        drawn = planned["processes"][place]
        planned["processes"][place] = Planned(
            drawn.pause, "stop", LONGEST_STOP, drawn.worker, drawn.version, drawn.chance, drawn.seed
        )
    return planned


def _lane(random: Random, lane: Lane, seconds: float) -> Iterator[Planned]:
    deck: list[str] = []
    needed = 0.0
    for _ in count():
        if needed > seconds:
            return
        if not deck:
            deck = random.sample(lane.faults, len(lane.faults))
        pause = random.uniform(*lane.pause)
        needed += pause
        yield Planned(
            pause,
            deck.pop(),
            random.uniform(*lane.lasts),
            random.randrange(WORKERS),
            random.choice(VERSIONS),
            random.random(),
            random.randrange(2**32),
        )
