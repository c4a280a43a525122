"""Buffered metrics give the same numbers as the metrics of prometheus_client."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    values,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics import parser
from prometheus_client.registry import Collector

from service.telemetry.metrics.buffered import BufferedCounter, BufferedGauge, BufferedHistogram
from service.telemetry.metrics.multiprocess import SharedNumbers
from service.telemetry.metrics.shared_memory import SharedMemory, Writer, private_memory
from tests.support.shared_memory import workers

disable_created_metrics()  # type: ignore[no-untyped-call]  # of the library's own, to compare with

BOUNDS = (0.1, 0.25, 1.0)


T = TypeVar("T", BufferedCounter, BufferedHistogram)


def made(kind: type[T], registry: CollectorRegistry, *arguments: Any, **options: Any) -> T:
    """A metric of a single process."""
    memory = private_memory(100_000)
    metric = kind(*arguments, memory=memory.own, **options)
    registry.register(SharedNumbers(memory, [metric]))
    return metric


VALUES = st.sampled_from([*BOUNDS, 0.0, 0.1000001, 0.5, 7.0])


@given(st.lists(st.tuples(st.sampled_from("ab"), VALUES)), st.integers(0, 3))
def test_a_buffered_histogram_equals_that_of_the_library(
    observed: list[tuple[str, float]], flushes: int
) -> None:
    plain, buffered = CollectorRegistry(), CollectorRegistry()
    one = Histogram("seconds", "", ["route"], buckets=BOUNDS, registry=plain)
    other = made(BufferedHistogram, buffered, "seconds", "", ["route"], buckets=BOUNDS)
    for number, (route, value) in enumerate(observed):
        one.labels(route).observe(value)
        other.labels(route).record(value)
        if flushes and number % flushes == 0:
            other.flush()
    other.flush()
    for route in {route for route, _ in observed}:
        for bound in (*map(str, BOUNDS), "+Inf"):
            labels = {"route": route, "le": bound}
            expected = plain.get_sample_value("seconds_bucket", labels)
            assert buffered.get_sample_value("seconds_bucket", labels) == expected
        expected = plain.get_sample_value("seconds_sum", {"route": route})
        found = buffered.get_sample_value("seconds_sum", {"route": route})
        assert found == pytest.approx(expected)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"))))
def test_a_buffered_counter_equals_that_of_the_library(ended: list[tuple[str, str]]) -> None:
    plain, buffered = CollectorRegistry(), CollectorRegistry()
    one = Counter("ended", "", ["route", "code"], registry=plain)
    other = made(BufferedCounter, buffered, "ended", "", ["route", "code"])
    for labels in ended:
        one.labels(*labels).inc()
        other.record(labels)
    other.record_all(ended)
    other.flush()
    for labels in set(ended):
        named = dict(zip(("route", "code"), labels, strict=True))
        expected = plain.get_sample_value("ended_total", named)
        assert expected is not None
        assert buffered.get_sample_value("ended_total", named) == 2 * expected


def test_nan_does_not_prevent_counting_of_other_values() -> None:
    registry = CollectorRegistry()
    histogram = made(BufferedHistogram, registry, "confidence", "", buckets=BOUNDS)
    histogram.record_all([0.5, math.nan, 0.5])
    histogram.flush()
    assert registry.get_sample_value("confidence_bucket", {"le": "1.0"}) == 2
    assert b"confidence_count 3.0" in generate_latest(registry)


ODD = ['quo"te', "back\\slash", "new\nline", "\u00fc", "two words", "\u2028", "\x0b", "\r"]


@pytest.mark.parametrize("write", [generate_latest, openmetrics.generate_latest])
def test_the_text_of_a_scrape_equals_that_of_the_library(write: Any) -> None:
    """Whatever the labels contain: a class of the user may have any name."""
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    buffered = made(BufferedHistogram, ours, "h", "of", ["label"], buckets=BOUNDS)
    counter = made(BufferedCounter, ours, "c", "a counter", ["label"])
    plain = Histogram("h", "of", ["label"], registry=theirs, buckets=BOUNDS)
    plain_counter = Counter("c", "a counter", ["label"], registry=theirs)
    for label, value in zip(ODD, (0.1, 3.0, 0.3, 0, 1, 0.25, 2, 0.5), strict=True):
        buffered.labels(label).record(value)
        counter.record((label,))
        plain.labels(label).observe(value)
        plain_counter.labels(label).inc()
    buffered.flush()
    counter.flush()
    assert write(ours) == write(theirs)


def test_the_exemplar_of_each_bucket_is_its_latest_trace() -> None:
    registry = CollectorRegistry()
    histogram = made(BufferedHistogram, registry, "h", "of", buckets=BOUNDS)
    for number, value in enumerate((0.05, 0.06, 0.1, 7.0)):
        histogram.record(value)
        histogram.labels().exemplify(value, f"{number:032x}")
    histogram.flush()
    text = openmetrics.generate_latest(registry).decode()  # type: ignore[no-untyped-call]
    (family,) = parser.text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    exemplars = [each.exemplar for each in family.samples if each.exemplar]
    assert [(each.labels["trace_id"], each.value) for each in exemplars] == [
        (f"{2:032x}", 0.1),
        (f"{3:032x}", 7.0),
    ]


# ---- memory shared by workers --------------------------------------------------------------------


class Worker:
    """The metrics of one slot, and those of the library in the file of a process."""

    def __init__(self, memory: SharedMemory, theirs: Any) -> None:
        self._theirs = theirs
        self.own = self._metrics(memory.own)
        self.shared = SharedNumbers(memory, self.own)
        values.ValueClass = theirs
        self._plain = (
            Gauge("g", "a gauge", registry=None, multiprocess_mode="livesum"),
            Counter("c", "a counter", ["label"], registry=None),
            Histogram("h", "of", ["label"], registry=None, buckets=BOUNDS),
        )

    def _metrics(self, memory: Writer) -> tuple[BufferedGauge, BufferedCounter, BufferedHistogram]:
        return (
            BufferedGauge("g", "a gauge", memory=memory),
            BufferedCounter("c", "a counter", ["label"], memory=memory),
            BufferedHistogram("h", "of", ["label"], buckets=BOUNDS, memory=memory),
        )

    def record(self, label: str, amount: float) -> None:
        values.ValueClass = self._theirs  # the library calls it when a label is new
        for gauge, counter, _ in (self.own, self._plain):
            gauge.set(amount)
            counter.labels(label).inc(amount)
        self.own[2].labels(label).record(amount)
        self.own[2].flush()
        self._plain[2].labels(label).observe(amount)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for the files of the library."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)  # restored afterwards
    yield tmp_path
    values.close_all_multiprocess_files()  # type: ignore[no-untyped-call]


def families(collector: Collector) -> dict[str, Metric]:
    """The families with samples, sorted: their order is unspecified."""
    found = {family.name: family for family in collector.collect() if family.samples}
    for family in found.values():
        family.samples.sort(key=lambda sample: (sample.name, sorted(sample.labels.items())))
    return found


def test_sums_over_workers_equal_those_of_the_library(folder: Path) -> None:
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    each = [
        Worker(memory, values.MultiProcessValue(lambda slot=slot: slot))  # type: ignore[no-untyped-call]
        for slot, memory in enumerate(workers(3))
    ]
    for number, label in enumerate('aab"a\\c\u00fcb'):  # new labels appear between two scrapes
        each[number % 3].record(label, number / 8)
        for worker in each:
            assert families(worker.shared) == families(registry)
