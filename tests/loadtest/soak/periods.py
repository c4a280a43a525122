"""Periods of a soak with round numbers, and additions to them."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from loadtest.target.monitor import Period

MB = 1 << 20
EVERY = 5.0  # seconds
MINUTE = 60.0  # seconds

QUIET = Period(
    at=0.0,
    seconds=EVERY,
    resident=130 * MB,
    proportional=100 * MB,
    descriptors=70,
    threads=7,
    cpu=0.1,
    generator=0.1,
    answers=1000,
    failed=0,
    shed=0,
    p50=0.001,
    p99=0.004,
    batch=1.0,
    queue=0.0,
)


def periods(minutes: float, /, **grown: Callable[[float], float]) -> list[Period]:
    """Like QUIET with a little noise; `grown` is added to a field, by seconds since the start."""
    random = Random(1)  # with seed 0 memory decreases: one noise in twenty has a significant slope
    found = []
    for number in range(1, round(minutes * MINUTE / EVERY) + 1):
        at = number * EVERY
        restless = replace(
            QUIET,
            at=at,
            resident=QUIET.resident + random.randrange(MB // 4),
            proportional=QUIET.proportional + random.randrange(MB // 4),
            descriptors=QUIET.descriptors + random.randrange(3),
            p99=QUIET.p99 + random.random() * 0.002,
        )
        more = {name: getattr(restless, name) + grow(at) for name, grow in grown.items()}
        found.append(replace(restless, **more))
    return found
