"""What is noted and added up later comes to what Prometheus' own metrics would say."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from service.telemetry.metrics.buffered import BufferedCounter, BufferedHistogram

BOUNDS = (0.1, 0.25, 1.0)


VALUES = st.sampled_from([*BOUNDS, 0.0, 0.1000001, 0.5, 7.0])


@given(st.lists(st.tuples(st.sampled_from("ab"), VALUES)), st.integers(0, 3))
def test_a_histogram_of_notes_is_the_histogram_of_observations(
    observed: list[tuple[str, float]], folds: int
) -> None:
    plain, noted = CollectorRegistry(), CollectorRegistry()
    one = Histogram("seconds", "", ["route"], buckets=BOUNDS, registry=plain)
    other = BufferedHistogram("seconds", "", ["route"], buckets=BOUNDS, registry=noted)
    for number, (route, value) in enumerate(observed):
        one.labels(route).observe(value)
        other.labels(route).record(value)
        if folds and number % folds == 0:
            other.flush()
    other.flush()
    for route in {route for route, _ in observed}:
        for bound in (*map(str, BOUNDS), "+Inf"):
            labels = {"route": route, "le": bound}
            expected = plain.get_sample_value("seconds_bucket", labels)
            assert noted.get_sample_value("seconds_bucket", labels) == expected
        expected = plain.get_sample_value("seconds_sum", {"route": route})
        found = noted.get_sample_value("seconds_sum", {"route": route})
        assert found == pytest.approx(expected)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"))))
def test_a_counter_of_notes_is_the_counter_of_increments(ended: list[tuple[str, str]]) -> None:
    plain, noted = CollectorRegistry(), CollectorRegistry()
    one = Counter("ended", "", ["route", "code"], registry=plain)
    other = BufferedCounter("ended", "", ["route", "code"], registry=noted)
    for labels in ended:
        one.labels(*labels).inc()
        other.record(labels)
    other.record_all(ended)
    other.flush()
    for labels in set(ended):
        named = dict(zip(("route", "code"), labels, strict=True))
        expected = plain.get_sample_value("ended_total", named)
        assert expected is not None
        assert noted.get_sample_value("ended_total", named) == 2 * expected


def test_not_a_number_does_not_keep_the_others_from_being_added_up() -> None:
    registry = CollectorRegistry()
    histogram = BufferedHistogram("confidence", "", buckets=BOUNDS, registry=registry)
    histogram.record_all([0.5, math.nan, 0.5])
    histogram.flush()
    assert registry.get_sample_value("confidence_bucket", {"le": "1.0"}) == 2
    assert b"confidence_count 3.0" in generate_latest(registry)
