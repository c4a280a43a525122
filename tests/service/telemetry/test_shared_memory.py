"""Workers count in memory that their supervisor reserves, independent of any file."""

import logging
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.store import Store
from contract.version import Version
from service.api.v2.statistics import Statistics
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics
from service.telemetry.metrics.shared_memory import (
    SERIES,
    VERSIONS,
    SharedMemory,
    key_of,
    tables_size,
    unlinked_file,
)
from tests.support.marks import slow
from tests.support.metrics import counted, exposition, settle
from tests.support.pictures import SEVEN
from tests.support.program import PATIENCE
from tests.support.running import ROOT, Service, status, wait_until
from tests.support.shared_memory import memory_of, workers

PREDICTED = 'http_requests_total{code="200",method="POST",route="/v1/predict"}'


def predict(service: Service, times: int = 1) -> None:
    for _ in range(times):
        with service.client() as client:  # over a separate connection
            client.post("/v1/predict", content=SEVEN).raise_for_status()


def pids(service: Service) -> dict[int, int]:
    return {row["worker"]: row["pid"] for row in status(service)["workers"] if row["version"]}


# ---- the service ---------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, slow(3)])
def test_no_temporary_files_are_written_and_all_series_fit(
    published: tuple[Store, Version], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with Service.started(published[0].folder.parent, workers=count) as service:
        predict(service, 5)
        with service.client() as client:
            client.get("/v2/models/digits/stats").raise_for_status()
            client.get("/v1/samples/random").raise_for_status()
        assert "digitserve_series_without_room_total 0.0\n" in exposition(service)
        assert status(service)["series"] == {"without_room": 0, "names": []}
        assert [*tmp_path.iterdir()] == []


@pytest.mark.slow
def test_removing_the_temporary_folder_loses_no_counts_and_no_worker(
    published: tuple[Store, Version], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    with Service.started(published[0].folder.parent, workers=2) as service:
        predict(service, 5)
        settle(service)
        shutil.rmtree(folder)
        assert counted(service, PREDICTED) == 5
        with service.client() as client:
            assert client.delete("/v1/predict").status_code == 405  # a new series
        settle(service)
        assert counted(service, 'http_requests_total{code="405"') == 1
        before = pids(service)
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: pids(service).get(0, before[0]) != before[0], service)
        predict(service, 5)
        settle(service)
        assert counted(service, PREDICTED) == 10
        assert counted(service, 'http_requests_total{code="405"') == 1
        assert service.process.poll() is None


class Limited(Service):
    """May write no file of more than 100 kB, which also limits memory files."""

    command: Sequence[str] = ("sh", "-c", 'ulimit -f 100; exec "$0" -m service', sys.executable)


def test_memory_that_cannot_be_reserved_fails_the_start_with_one_message(
    published: tuple[Store, Version],
) -> None:
    service = Limited(published[0].folder.parent, workers=2)
    assert service.exit_code() == 2
    assert "bytes of shared memory for the numbers of the workers cannot be reserved" in service.log
    assert "Traceback" not in service.log


# ---- full memory ---------------------------------------------------------------------------------


def test_a_series_that_does_not_fit_is_counted_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics, other = map(Metrics, workers(2, size=40_000))
    metrics.predictions.record(("7",))
    metrics.refresh()
    assert metrics.without_room == (0, [])
    routes = 0
    while metrics.without_room[0] < 3:
        routes += 1
        metrics.requests.record((f"/{routes}", "GET", "200"))
        metrics.refresh()
    names = [
        f"digitserve_http_requests{{/{route}, GET, 200}}" for route in range(routes - 2, routes + 1)
    ]
    assert metrics.without_room == (3, names)
    for route in range(1, routes + 1):  # also of a series that does not fit
        metrics.requests.record((f"/{route}", "GET", "200"))
    metrics.predictions.record(("7",))
    other.predictions.record(("7",))
    other.refresh()
    text = metrics.exposition().decode()
    assert "digitserve_series_without_room_total 3.0\n" in text
    assert 'digitserve_predictions_total{label="7"} 3.0\n' in text
    assert text.count('method="GET",route="/') == routes - 3
    assert 'route="/1"} 2.0\n' in text
    assert other.without_room == (3, [])  # only their number is shared, not their names
    (line,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert names[0] in line.message


@pytest.mark.parametrize("alone", [True, False], ids=["one process", "worker"])
def test_only_the_last_versions_have_statistics(alone: bool) -> None:
    settings = Settings(max_batch=8, max_pictures=64)  # type: ignore[call-arg]
    size = SERIES + tables_size(settings)
    memory = None if alone else workers(1, size)[0]
    metrics, statistics = Metrics(memory), Statistics(settings, memory)
    for version in range(1, 100):
        statistics.failed(version, 0.5)
        statistics.failed(version, 0.25)
    assert statistics.versions() == [*range(100 - VERSIONS, 100)]
    for version in statistics.versions():
        fail = statistics.of("digits", version).inference_stats.fail
        assert (fail.count, fail.ns) == (2, 750_000_000)
    assert metrics.without_room == (0, [])


# ---- stored data ---------------------------------------------------------------------------------

NAMES = st.sampled_from("abcde")
CHANGES = st.one_of(
    st.tuples(st.just("add"), NAMES, st.integers(1, 40)),
    st.tuples(st.just("remove"), NAMES, st.just(0)),
    st.tuples(st.just("replace"), NAMES, st.just(0)),  # by another worker in the same slot
)


@given(st.lists(CHANGES, max_size=40))
def test_every_process_reads_the_sum_since_a_series_began(
    changes: list[tuple[str, str, int]],
) -> None:
    descriptor = memory_of(2, 4096)
    reader = SharedMemory(descriptor, 2, 0)
    writer = SharedMemory(descriptor, 2, 1).own
    expected: dict[str, list[float]] = {}
    for amount, (change, name, count) in enumerate(changes):
        key = key_of("counter", name)
        if change == "add":
            if len(expected.get(key, [])) != count:
                expected[key] = [0.0] * count
            cells = writer.cells(key, count)
            for place in range(count):
                cells[place] += amount
                expected[key][place] += amount
        elif change == "remove":
            writer.remove(key)
            expected.pop(key, None)
        else:
            writer = SharedMemory(descriptor, 2, 1).own
        read = {each: [*(reader.segments[1].read(each) or ())] for each in expected}
        assert read == expected
        assert reader.segments[1].entries().keys() == expected.keys()
    assert not reader.segments[0].entries()


CHANGING = """
import itertools, sys
from service.telemetry.metrics.shared_memory import SharedMemory, key_of

writer = SharedMemory(int(sys.argv[1]), 1, 0).own
print(flush=True)
for number in itertools.count(1):
    key = key_of("counter", str(number % 50))
    writer.remove(key)
    cells = writer.cells(key, number % 7 + 1)
    for place in range(len(cells)):
        cells[place] = number % 50
"""


def test_a_writer_killed_at_any_point_leaves_complete_series() -> None:
    """And a concurrent reader never mistakes one series for another."""
    descriptor = memory_of(1, 8192)
    for _ in range(3):
        changing = subprocess.Popen(
            [sys.executable, "-c", CHANGING, str(descriptor)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            pass_fds=[descriptor],
        )
        with changing:
            assert changing.stdout is not None
            changing.stdout.readline()
            (segment,) = SharedMemory(descriptor, 1).segments
            for turn in range(2000):
                name = str(turn % 50)
                numbers = segment.read(key_of("counter", name))
                assert {*(numbers or ())} <= {0.0, float(name)}
            changing.kill()
            changing.wait(PATIENCE)
        memory = SharedMemory(descriptor, 1, 0)
        keys = {key_of("counter", str(name)) for name in range(50)}
        assert memory.own.entries().keys() <= keys
        for key in keys:
            memory.own.remove(key)
        memory.own.cells(key_of("counter", "all"), 880)  # all memory is free again
        assert memory.refused == 0
        memory.own.remove(key_of("counter", "all"))


def test_without_memory_files_an_unlinked_file_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    descriptor = unlinked_file(100_000)
    assert [*tmp_path.iterdir()] == []
    assert os.fstat(descriptor).st_blocks * 512 >= 100_000  # all pages are allocated
    first, second = (SharedMemory(descriptor, 2, slot) for slot in range(2))
    first.own.cells("a", 1)[0] = math.pi
    assert [*(second.segments[0].read("a") or ())] == [math.pi]
