"""CPU time, memory and files of every process of the service, from any worker."""

import os
import signal
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from contract.store import Store
from contract.version import Version
from tests.support.running import Service, status, two_workers, wait_until

NAMES = {
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_open_fds",
    "process_max_fds",
    "process_start_time_seconds",
}
Numbers = dict[tuple[str, str | None], float]


@pytest.fixture
def two(published: tuple[Store, Version]) -> Iterator[Service]:
    with two_workers(published[0]) as service:
        yield service


def numbers(service: Service) -> Numbers:
    """The values by name and worker."""
    with service.client() as client:
        text = client.get("/metrics").text
    return {
        (sample.name, sample.labels.get("worker")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if family.name.startswith("process_")
    }


def pids(service: Service) -> dict[int, int]:
    return {row["worker"]: row["pid"] for row in status(service)["workers"] if row["version"]}


def test_a_single_process_has_no_label(service: Service) -> None:
    found = numbers(service)
    assert found.keys() == {(name, None) for name in NAMES}
    assert found["process_resident_memory_bytes", None] > 50e6


@pytest.mark.slow
def test_several_processes_are_reported_each_with_the_supervisor(two: Service) -> None:
    for _ in range(8):  # the requests reach either worker
        found = numbers(two)
        assert found.keys() == {
            (name, process) for name in NAMES for process in ("0", "1", "supervisor")
        }
        memory = {process: found["process_resident_memory_bytes", process] for _, process in found}
        assert memory["supervisor"] < min(memory["0"], memory["1"])


@pytest.mark.slow
def test_a_replacement_takes_the_place_of_a_dead_worker(two: Service) -> None:
    before, numbers_before = pids(two), numbers(two)
    os.kill(before[0], signal.SIGKILL)
    wait_until(lambda: pids(two).get(0, before[0]) != before[0], two)
    found = numbers(two)
    began = "process_start_time_seconds"
    assert found[began, "0"] > numbers_before[began, "0"]
    assert found[began, "1"] == numbers_before[began, "1"]
    assert {process for _, process in found} == {"0", "1", "supervisor"}
