"""Requests are timed by the version that answered them, and series of old versions are dropped."""

import re
from pathlib import Path

import pytest

from contract.store import Store
from contract.version import Version
from service.api.live.summary import take_snapshot
from service.telemetry.metrics.registry import Metrics
from service.telemetry.metrics.shared_memory import SharedMemory
from service.telemetry.metrics.version_series import KEPT
from tests.support import fetch
from tests.support.marks import slow
from tests.support.metrics import counted, settle
from tests.support.pictures import SEVEN
from tests.support.running import ADMIN, TOKEN, Service, two_workers
from tests.support.shared_memory import memory_of, workers
from tests.support.versions import two_versions

ROUTE = "/v1/predict"
COUNT = "http_request_duration_seconds_count"


@pytest.fixture(params=["alone", "worker"])
def metrics(request: pytest.FixtureRequest) -> Metrics:
    return Metrics(workers(1)[0]) if request.param == "worker" else Metrics()


def timed(metrics: Metrics, version: int | None, times: int = 1) -> None:
    for _ in range(times):
        metrics.seconds_of(ROUTE, predicts=True)[version].record(0.001)


def reported(metrics: Metrics) -> dict[str, float]:
    """The number of requests by version."""
    text = metrics.exposition().decode()
    found = re.findall(rf'^digitserve_{COUNT}{{.*version="(\w+)"}} (\S+)$', text, re.MULTILINE)
    return {version: float(count) for version, count in found}


def test_two_versions_are_distinguished_while_one_replaces_the_other(metrics: Metrics) -> None:
    metrics.version_serves(1)
    timed(metrics, 1, 3)
    metrics.version_serves(2)
    assert reported(metrics) == {"none": 0, "1": 3, "2": 0}  # 0 first, for an increase
    timed(metrics, 1)  # whose batch was still running
    timed(metrics, 2, 2)
    timed(metrics, None)
    assert reported(metrics) == {"none": 1, "1": 4, "2": 2}


def test_only_the_last_versions_have_series(metrics: Metrics) -> None:
    for version in range(1, 20):
        metrics.version_serves(version)
        timed(metrics, version, version)
    assert reported(metrics) == {"none": 0, "16": 16, "17": 17, "18": 18, "19": 19}
    assert len(reported(metrics)) == KEPT + 1
    timed(metrics, 3)  # no series for a version that has not served for long
    assert reported(metrics)["none"] == 1


def test_a_version_that_serves_again_is_kept_before_others(metrics: Metrics) -> None:
    for version in (1, 2, 3, 4, 1, 5):
        metrics.version_serves(version)
        timed(metrics, version)
    assert reported(metrics) == {"none": 0, "1": 2, "3": 1, "4": 1, "5": 1}
    for version in (6, 7, 8, 9, 1):
        metrics.version_serves(version)
    assert reported(metrics) == {"none": 0, "7": 0, "8": 0, "9": 0, "1": 0}  # starts anew


@pytest.mark.slow
def test_sums_over_workers_have_no_series_of_old_versions() -> None:
    memories = workers(2)
    each = [*map(Metrics, memories)]
    for version in range(1, 300):
        for metrics in each:
            metrics.version_serves(version)
            timed(metrics, version, version)
            assert len(reported(metrics)) <= KEPT + 2  # the other worker has not switched yet
    for metrics in each:
        assert reported(metrics) == {"none": 0, "296": 592, "297": 594, "298": 596, "299": 598}
        assert metrics.without_room == (0, [])


def test_a_worker_continues_the_numbers_of_its_predecessor() -> None:
    descriptor = memory_of(1)
    first = Metrics(SharedMemory(descriptor, 1, 0))
    for version in range(1, 7):
        first.version_serves(version)
        timed(first, version, version)
    first.refresh()
    second = Metrics(SharedMemory(descriptor, 1, 0))
    second.version_serves(6)
    timed(second, 6)
    assert reported(second) == {"none": 0, "3": 3, "4": 4, "5": 5, "6": 7}
    second.version_serves(7)
    assert reported(second) == {"none": 0, "4": 4, "5": 5, "6": 7, "7": 0}


def test_dropped_versions_are_not_in_the_sums(metrics: Metrics) -> None:
    metrics.version_serves(1)
    timed(metrics, 1, 5)
    assert sum(take_snapshot(metrics, 0.0).seconds) == 5
    for version in range(2, 6):
        metrics.version_serves(version)
    timed(metrics, 5, 2)
    assert sum(take_snapshot(metrics, 0.0).seconds) == 2


# ---- a running service ---------------------------------------------------------------------------


def send(service: Service) -> None:
    fetch.post(f"{service.url}{ROUTE}", content=SEVEN).raise_for_status()


def of_version(service: Service, version: str) -> float:
    return counted(service, f'{COUNT}{{route="{ROUTE}",version="{version}"}}')


@pytest.mark.parametrize("workers", [1, slow(2)])
def test_a_switch_is_visible_in_the_metrics_of_each_version(
    published: tuple[Store, Version], tmp_path: Path, workers: int
) -> None:
    store = two_versions(published, tmp_path)
    with (
        two_workers(store)
        if workers == 2
        else Service.started(store.folder.parent, admin_token=TOKEN)
    ) as service:
        send(service)
        with service.client(headers=ADMIN) as client:
            client.post("/v1/models/digits/versions/2/activate").raise_for_status()
        for _ in range(2):
            send(service)
        fetch.post(f"{service.url}{ROUTE}", content=b"no picture")
        settle(service)
        answered = {version: of_version(service, version) for version in ("1", "2", "none")}
    assert answered == {"1": 1, "2": 2, "none": 1}
