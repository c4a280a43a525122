"""The search finds the limit of a simulated service, and reports why if there is none."""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from loadtest.capacity.search import Ladder, Stopped, search
from loadtest.report.slo import Slo

LADDER = Ladder(first=500, resolution=0.03, least=20, most=100_000)
LIMITS = [21, 137, 500, 501, 990, 1000, 17_000, 99_000]


@dataclass(frozen=True)
class Probe:
    rate: float
    held: bool
    why: str = ""

    def holds(self, slo: Slo) -> bool:
        return self.held and not self.why

    def bound(self, slo: Slo) -> str:
        return self.why


def up_to(limit: float, generator: float = 1e9) -> Callable[[float], Probe]:
    """A service that holds up to a rate, measured by a generator that does."""
    return lambda rate: Probe(rate, rate <= limit, "" if rate <= generator else "busy")


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("known", [None, 0, 50, 120])
def test_the_limit_is_found_within_the_resolution(limit: float, known: int | None) -> None:
    """Whether the rate known from before is right or far from it."""
    found = search(up_to(limit), Slo(), LADDER, known=known)
    assert found.stopped is Stopped.SERVICE
    assert found.rate <= limit < found.rate * 1.031
    assert found.best == Probe(found.rate, held=True)
    assert LADDER.rate(found.rung) == found.rate


def test_both_sides_are_probed_and_a_known_rate_saves_probes() -> None:
    first = search(up_to(17_000), Slo(), LADDER)
    again = search(up_to(17_000), Slo(), LADDER, known=first.rung)
    held = {probe.held for probe in again.probes}
    assert held == {True, False}
    assert len(again.probes) <= 6 < len(first.probes)


def test_a_noisy_limit_is_nearly_always_found_within_a_tenth() -> None:
    chance = random.Random(1)

    def noisy(rate: float) -> Probe:
        return Probe(rate, rate * chance.gauss(1, 0.03) <= 17_000)

    found = [search(noisy, Slo(), LADDER, known=known) for known in [None, 119] * 50]
    near = [each for each in found if 0.9 < each.rate / 17_000 < 1.1]
    assert len(near) >= 98
    assert sorted(each.rate for each in found)[50] == pytest.approx(17_000, rel=0.04)


def test_a_service_that_never_holds_is_probed_down_to_the_lowest_rate() -> None:
    found = search(up_to(0), Slo(), LADDER)
    assert (found.rate, found.best, found.stopped) == (0, None, Stopped.NEVER)
    assert found.probes[-1].rate == pytest.approx(20, rel=0.03)
    assert len(search(up_to(0), Slo(), LADDER, known=found.rung).probes) == 1


def test_a_service_that_always_holds_is_probed_up_to_the_highest_rate() -> None:
    found = search(up_to(1e9), Slo(), LADDER)
    assert (found.rate, found.stopped) == (100_000, Stopped.MOST)
    assert max(probe.rate for probe in found.probes) == 100_000


def test_a_generator_that_is_the_bottleneck_ends_the_search() -> None:
    found = search(up_to(limit=17_000, generator=9_000), Slo(), LADDER)
    assert found.stopped is Stopped.GENERATOR
    assert found.rate <= 9_000 < found.rate * 1.031


def test_a_generator_bottleneck_above_the_limit_does_not_matter() -> None:
    found = search(up_to(limit=17_000, generator=20_000), Slo(), LADDER)
    assert found.stopped is Stopped.SERVICE
    assert found.rate <= 17_000 < found.rate * 1.031


def test_a_probe_with_a_late_generator_is_repeated_once() -> None:
    rates: list[float] = []

    def late_once(rate: float) -> Probe:
        rates.append(rate)
        return Probe(rate, rate <= 17_000, "late" if len(rates) == 1 else "")

    found = search(late_once, Slo(), LADDER)
    assert (rates[0], rates[1], found.stopped) == (500, 500, Stopped.SERVICE)
    assert found.rate <= 17_000 < found.rate * 1.031


def test_without_valid_probes_nothing_is_known_about_the_service() -> None:
    found = search(up_to(limit=1e9, generator=0), Slo(), LADDER)
    assert (found.rate, found.stopped) == (0, Stopped.GENERATOR)


def test_rungs_differ_by_the_resolution_and_end_at_the_bounds() -> None:
    rates = [LADDER.rate(rung) for rung in range(LADDER.bottom, LADDER.top + 1)]
    steps = [high / low for low, high in itertools.pairwise(rates[:-1])]
    assert all(1.02 < step < 1.04 for step in steps)
    assert rates[-1] == 100_000 > rates[-2]
    assert 20 <= rates[0] < 20.7


@pytest.mark.parametrize("least", [500, 1000])
def test_a_first_rate_at_the_lower_bound_is_the_lowest(least: float) -> None:
    ladder = Ladder(first=500, resolution=0.03, least=least, most=500)
    assert (ladder.bottom, ladder.top, ladder.rate(0)) == (0, 0, 500)
    assert search(up_to(1e9), Slo(), ladder).stopped is Stopped.MOST
    assert search(up_to(0), Slo(), ladder).stopped is Stopped.NEVER
