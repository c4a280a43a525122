"""A slope is found where there is one, and rarely where there is none."""

from random import Random

import pytest
from scipy.stats import linregress
from scipy.stats import t as students_t

from loadtest.soak.trend import FEWEST, Point, Trend, trend

EVERY = 5.0  # seconds between two points
SECONDS = 1800.0
SERIES = 400


def made(values: list[float]) -> list[Point]:
    return [Point((number + 1) * EVERY, value) for number, value in enumerate(values)]


def judged(points: list[Point], *, after: float = 180.0, block: float = 120.0) -> Trend:
    found = trend(points, after=after, until=SECONDS, block=block)
    assert found is not None
    return found


def noise(seed: int, *, forgets: float = 0.0) -> list[float]:
    """Noise of standard deviation 1, correlated over `forgets` seconds."""
    random, value, values = Random(seed), 0.0, []
    kept = max(0.0, 1 - EVERY / forgets) if forgets else 0.0
    for _ in range(round(SECONDS / EVERY)):
        value = kept * value + (1 - kept**2) ** 0.5 * random.gauss()
        values.append(value)
    return values


def test_the_slope_of_a_line_is_exact() -> None:
    found = judged([Point(at, 100 + 0.01 * at) for at, _ in made([0.0] * 360)])
    assert found.slope == pytest.approx(0.01)
    assert found.margin == pytest.approx(0.0, abs=1e-9)
    assert found.line(600.0)[0] == pytest.approx(100 + 0.01 * 600, abs=0.1)


def test_a_constant_has_no_slope_and_no_margin() -> None:
    found = judged(made([7.0] * 360))
    assert (found.lowest, found.slope, found.highest) == (0.0, 0.0, 0.0)


def test_flat_noise_is_indistinguishable_from_zero() -> None:
    found = judged(made(noise(1)))
    assert found.lowest < 0 < found.highest


def test_a_slope_in_noise_is_found_and_lies_in_its_interval() -> None:
    steady = 1 / 600  # the increase over ten minutes equals the spread of the noise
    found = judged([Point(at, value + steady * at) for at, value in made(noise(2))])
    assert 0 < found.lowest < steady < found.highest


def test_values_that_alternate_with_switches_have_no_slope() -> None:
    found = judged([Point(at, float(int((at - 1) / 60) % 2)) for at, _ in made([0.0] * 360)])
    assert (found.slope, found.margin) == (0.0, 0.0)


def test_for_independent_blocks_the_interval_is_that_of_student() -> None:
    """Blocks alternate, so their correlation does not reduce their effective number."""
    values = [(-1.0) ** (number // 24) + number / 100 for number in range(360)]
    found = judged(made(values))
    fitted = linregress(*zip(*found.blocks, strict=True))
    wide = fitted.stderr * students_t.ppf(0.975, len(found.blocks) - 2)
    assert found.slope == pytest.approx(fitted.slope)
    assert found.margin == pytest.approx(wide)


@pytest.mark.parametrize(
    ("forgets", "most"),
    [
        (0.0, 0.045),  # seconds, and a share of 1 in 40 with a tolerance
        (20.0, 0.055),
        (60.0, 0.07),
        (180.0, 0.085),  # 0.105 if every block is counted fully
    ],
)
def test_false_alarms_are_as_rare_as_documented(forgets: float, most: float) -> None:
    alarms = sum(judged(made(noise(seed, forgets=forgets))).lowest > 0 for seed in range(SERIES))
    assert 0.005 < alarms / SERIES < most


def test_a_single_step_has_a_wider_margin_than_a_steady_rise() -> None:
    step = judged([Point(at, value / 5 + (at > 990)) for at, value in made(noise(3))])
    rise = [Point(at, value / 5 + step.slope * at) for at, value in made(noise(3))]
    assert step.margin > 2 * judged(rise).margin


def test_the_band_is_narrowest_in_the_middle_and_grows_with_the_margin() -> None:
    found = judged(made(noise(4)))
    offs = [found.line(at)[1] for at in (240.0, 960.0, 1680.0)]
    assert offs[1] < offs[0] == pytest.approx(offs[2])
    far = found.line(1e9)[1] / 1e9
    assert far == pytest.approx(found.margin, rel=1e-3)


def test_too_few_blocks_are_not_judged() -> None:
    points = made(noise(5))
    enough = 180.0 + FEWEST * 120.0
    assert trend(points, after=180.0, until=enough - 1, block=120.0) is None
    assert trend(points, after=180.0, until=enough, block=120.0) is not None


def test_a_block_without_observations_is_left_out() -> None:
    points = [point for point in made(noise(6)) if not 300 < point.at <= 420]
    assert len(judged(points).blocks) == 12
