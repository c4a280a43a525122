"""What is written in shares and kept between scrapes is what the library writes anew."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
    values,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics import parser
from prometheus_client.registry import Collector

from service.telemetry.metrics.buffered import BufferedCounter, BufferedGauge, BufferedHistogram
from service.telemetry.metrics.exposition import Exposition, OpenMetrics
from service.telemetry.metrics.multiprocess import SharedNumbers
from service.telemetry.metrics.shared_memory import SharedMemory, Writer
from tests.service.shared_memory import workers

BOUNDS = (0.1, 0.25, 1.0)
# The last three end lines for Python, not for Prometheus: somebody's class may be named so.
ODD = ['quo"te', "back\\slash", "new\nline", "ü", "two words", "\u2028", "\x0b", "\r"]
LABELS = st.sampled_from(["a", "b", *ODD])
NUMBERS = st.floats(allow_infinity=True, allow_nan=True)
AMOUNTS = st.floats(min_value=0, max_value=1e20)


@given(st.lists(st.lists(st.tuples(LABELS, NUMBERS, AMOUNTS), max_size=4), max_size=6))
def test_each_text_is_the_librarys(scrapes: list[list[tuple[str, float, float]]]) -> None:
    registry = CollectorRegistry()
    gauge = Gauge("g", 'a "gauge"\nof \\ two lines', ["label"], registry=registry)
    counter = Counter("c", "a counter", registry=registry)
    histogram = Histogram("h", "a histogram", ["label"], buckets=BOUNDS, registry=registry)
    exposition = Exposition(registry)
    for changes in scrapes:
        for label, number, amount in changes:
            gauge.labels(label).set(number)
            counter.inc(amount)
            histogram.labels(label).observe(number)
        assert exposition.text() == generate_latest(registry)


@given(st.lists(st.lists(st.tuples(LABELS, AMOUNTS), max_size=4), max_size=6))
def test_each_text_of_openmetrics_is_the_librarys(scrapes: list[list[tuple[str, float]]]) -> None:
    """With exemplars, which come behind the numbers and change without them."""
    registry = CollectorRegistry()
    counter = Counter("c", "a counter", registry=registry)
    noted = BufferedHistogram("h", "of", ["label"], buckets=BOUNDS, registry=registry)
    exposition = OpenMetrics(registry, lambda: {"h": noted.exemplars()})
    for number, changes in enumerate(scrapes):
        for label, amount in changes:
            counter.inc(amount)
            noted.labels(label).record(amount)
            noted.labels(label).exemplify(amount, f"{number:032x}")
        noted.flush()
        text = exposition.text().decode()
        plain = re.sub(r" # {trace_id=.*", "", text)
        assert plain.encode() == openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
        families = {family.name: family for family in openmetrics_parser(text)}
        told = [each.exemplar for each in families["h"].samples if each.exemplar]
        assert len(told) == len(noted.exemplars())
        assert bool(told) == any(scrapes[: number + 1])
    assert exposition.text().endswith(b"# EOF\n")


def openmetrics_parser(text: str) -> Iterator[Metric]:
    yield from parser.text_string_to_metric_families(text)  # type: ignore[no-untyped-call]


def test_series_that_are_gone_are_not_told() -> None:
    registry = CollectorRegistry()
    gauge = Gauge("g", "a gauge", ["label"], registry=registry)
    gone = Gauge("other", "another", registry=registry)
    exposition = Exposition(registry)
    gauge.labels("a").set(1)
    gauge.labels("b").set(2)
    exposition.text()
    gauge.remove("a")
    registry.unregister(gone)
    assert exposition.text() == generate_latest(registry)
    assert b"other" not in exposition.text()


def test_what_the_library_collects_of_itself_is_told() -> None:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    first, second = (Exposition(registry).text() for _ in range(2))
    assert b"process_resident_memory_bytes " in first
    assert names(first) == names(second)


def names(text: bytes) -> list[str]:
    return [line.split()[0] for line in text.decode().splitlines() if line[0] != "#"]


# ---- memory that workers share -------------------------------------------------------------------


class Worker:
    """The numbers of one slot, and what the library counts in the file of a process."""

    def __init__(self, memory: SharedMemory, theirs: Any) -> None:
        self._theirs = theirs
        self.own = self._metrics(memory.own)
        self.shared = SharedNumbers(memory.segments, self.own)
        values.ValueClass = theirs
        self._plain = (
            Gauge("g", "a gauge", registry=None, multiprocess_mode="livesum"),
            Counter("c", "a counter", ["label"], registry=None),
            Histogram("h", "of", ["label"], registry=None, buckets=BOUNDS),
        )

    def _metrics(
        self, memory: Writer | None
    ) -> tuple[BufferedGauge, BufferedCounter, BufferedHistogram]:
        options = {"registry": None, "memory": memory}
        return (
            BufferedGauge("g", "a gauge", **options),
            BufferedCounter("c", "a counter", ["label"], **options),
            BufferedHistogram("h", "of", ["label"], buckets=BOUNDS, **options),
        )

    def record(self, label: str, amount: float) -> None:
        values.ValueClass = self._theirs  # the library asks it where a label is new
        for gauge, counter, histogram in (self.own, self._plain):
            gauge.set(amount)
            counter.labels(label).inc(amount)
            histogram.labels(label).observe(amount)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Of the library's own files."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)  # as it was, afterwards
    yield tmp_path
    values.close_all_multiprocess_files()  # type: ignore[no-untyped-call]


def families(collector: Collector) -> dict[str, Metric]:
    """Those with samples, in one order: nobody has promised any."""
    found = {family.name: family for family in collector.collect() if family.samples}
    for family in found.values():
        family.samples.sort(key=lambda sample: (sample.name, sorted(sample.labels.items())))
    return found


def test_sums_over_workers_are_the_librarys(folder: Path) -> None:
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    each = [
        Worker(memory, values.MultiProcessValue(lambda slot=slot: slot))  # type: ignore[no-untyped-call]
        for slot, memory in enumerate(workers(3))
    ]
    for number, label in enumerate('aab"a\\c\u00fcb'):  # new labels come between two scrapes
        each[number % 3].record(label, number / 8)
        for worker in each:
            assert families(worker.shared) == families(registry)


def test_numbers_in_memory_are_collected_as_the_library_does() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    noted = BufferedHistogram("h", "of", ["label"], registry=ours, buckets=BOUNDS)
    plain = Histogram("h", "of", ["label"], registry=theirs, buckets=BOUNDS)
    for label, value in (("a", 0.1), ("b", 3.0), ("a", 0.3)):
        noted.labels(label).observe(value)
        plain.labels(label).observe(value)
    assert generate_latest(ours) == generate_latest(theirs)
