"""Statistics of each version, over both APIs and all workers."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from contract.store import Store
from contract.version import Version
from service.tensors import Pixels
from tests.support.pictures import encoded, seven
from tests.support.running import ADMIN, TOKEN, Service, two_workers
from tests.support.tensors import client_of, inputs_of, post
from tests.support.versions import two_versions

PARTS = ("queue", "compute_input", "compute_infer", "compute_output")


@pytest.fixture
def service(published: tuple[Store, Version]) -> Iterator[Service]:
    with Service.started(published[0].folder.parent) as service:
        yield service


def of(client: triton.InferenceServerClient, version: str = "1") -> Any:
    (statistics,) = client.get_inference_statistics("digits", version)["model_stats"]
    assert (statistics["name"], statistics["version"]) == ("digits", version)
    return statistics


def predict(service: Service) -> None:
    with service.client(headers={"Content-Type": "image/png"}) as client:
        assert client.post("/v1/predict", content=encoded(seven())).status_code == 200


def test_all_counts_are_zero_before_the_first_request(
    client: triton.InferenceServerClient,
) -> None:
    statistics = of(client)
    assert (statistics["inference_count"], statistics["execution_count"]) == (0, 0)
    assert statistics["last_inference"] == 0
    assert statistics["batch_stats"] == []
    for part in ("success", "fail", "cache_hit", "cache_miss", *PARTS):
        assert statistics["inference_stats"][part] == {"count": 0, "ns": 0}


def test_both_apis_are_counted_and_a_request_is_the_sum_of_its_stages(
    client: triton.InferenceServerClient, service: Service, pixels: Pixels
) -> None:
    for _ in range(3):
        client.infer("digits", inputs_of(pixels[:7]))
    predict(service)
    statistics = of(client)
    assert statistics["inference_count"] == 3 * 7 + 1
    assert statistics["execution_count"] == 4
    assert abs(statistics["last_inference"] / 1e3 - time.time()) < 60
    parts = statistics["inference_stats"]
    assert parts["success"]["count"] == 4
    assert parts["fail"]["count"] == 0
    assert all(parts[part]["count"] == 4 and parts[part]["ns"] > 0 for part in PARTS)
    assert abs(parts["success"]["ns"] - sum(parts[part]["ns"] for part in PARTS)) <= 4
    one, many = statistics["batch_stats"]
    assert (one["batch_size"], many["batch_size"]) == (1, 7)
    assert (one["compute_infer"]["count"], many["compute_infer"]["count"]) == (1, 3)
    both = one["compute_infer"]["ns"] + many["compute_infer"]["ns"]
    assert abs(both - parts["compute_infer"]["ns"]) <= 2


def test_requests_that_share_a_batch_are_counted_separately(
    service: Service, pixels: Pixels
) -> None:
    with client_of(service, concurrency=16) as client:
        for handle in [client.async_infer("digits", inputs_of(pixels[:3])) for _ in range(64)]:
            handle.get_result()
        statistics = of(client)
    assert statistics["inference_count"] == 64 * 3
    assert statistics["inference_stats"]["success"]["count"] == 64
    sizes = statistics["batch_stats"]
    runs = {each["batch_size"]: each["compute_infer"]["count"] for each in sizes}
    assert sum(size * count for size, count in runs.items()) == 64 * 3
    assert sum(runs.values()) == statistics["execution_count"] <= 64
    for part in PARTS[1:]:  # each request gets the time of its whole batch
        shared = sum(each[part]["ns"] * each["batch_size"] // 3 for each in sizes)
        assert abs(statistics["inference_stats"][part]["ns"] - shared) <= 64


def test_client_errors_are_not_failures(
    client: triton.InferenceServerClient, service: Service
) -> None:
    assert post(service, b"nonsense").status_code == 400
    assert of(client)["inference_stats"]["fail"]["count"] == 0


def test_rejected_and_late_requests_are_failures(
    published: tuple[Store, Version], pixels: Pixels
) -> None:
    folder = published[0].folder.parent
    with Service.started(folder, max_wait=0.5, max_queue=4) as service:
        with client_of(service, concurrency=2) as client:
            waiting = client.async_infer("digits", inputs_of(pixels[:3]), timeout=100_000)
            with pytest.raises(InferenceServerException, match="deadline"):
                waiting.get_result()
        fail = of_service(service)["inference_stats"]["fail"]
        assert fail["count"] == 1
        assert 50e6 < fail["ns"] < 5e9


def test_the_queue_time_of_each_request_is_counted(
    published: tuple[Store, Version], pixels: Pixels
) -> None:
    with (
        Service.started(published[0].folder.parent, max_wait=0.4) as service,
        client_of(service, concurrency=4) as client,
    ):
        for handle in [client.async_infer("digits", inputs_of(pixels[:1])) for _ in range(4)]:
            handle.get_result()
        statistics = of(client)
    parts = statistics["inference_stats"]
    assert parts["queue"]["count"] == 4
    assert parts["queue"]["ns"] > 4 * 0.2e9
    (batch,) = statistics["batch_stats"]  # one batch, each request with its full time
    assert batch["batch_size"] == 4
    for part in PARTS[1:]:
        assert abs(parts[part]["ns"] - 4 * batch[part]["ns"]) <= 4


def of_service(service: Service) -> Any:
    with client_of(service) as client:
        return of(client)


def test_versions_are_counted_separately_and_continue_when_they_serve_again(
    published: tuple[Store, Version], tmp_path: Path, pixels: Pixels
) -> None:
    store = two_versions(published, tmp_path)
    with (
        Service.started(store.folder.parent, admin_token=TOKEN, watch_seconds=0) as service,
        client_of(service) as client,
    ):
        for version, count in (("1", 1), ("2", 2), ("1", 4)):
            client.load_model("digits", ADMIN, query_params={"version": version})
            for _ in range(count):
                client.infer("digits", inputs_of(pixels[:1]))
        every: Any = client.get_inference_statistics()
        counts = {each["version"]: each["inference_count"] for each in every["model_stats"]}
    assert counts == {"1": 5, "2": 2}


@pytest.mark.slow
def test_any_worker_reports_the_counts_of_all(
    published: tuple[Store, Version], tmp_path: Path
) -> None:
    store = two_versions(published, tmp_path)
    with two_workers(store) as service:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda _: predict(service), range(24)))
        reported = [of_service(service) for _ in range(8)]  # over separate connections
        assert [each["inference_count"] for each in reported] == [24] * 8
        assert [each["inference_stats"]["success"]["count"] for each in reported] == [24] * 8
        workers = _kill_one(service)
        assert of_service(service)["inference_count"] == 24, workers


def _kill_one(service: Service) -> list[int]:
    """The counts of a dead worker are not lost."""
    with service.client() as client:
        before: list[int] = [row["pid"] for row in client.get("/v1/status").json()["workers"]]
    os.kill(before[0], signal.SIGKILL)
    deadline = time.monotonic() + 60
    while True:
        assert time.monotonic() < deadline
        try:
            with service.client() as client:
                rows = client.get("/v1/status").json()["workers"]
        except httpx2.HTTPError:  # it received a request
            continue
        now = [row["pid"] for row in rows if row["version"]]
        if len(now) == 2 and before[0] not in now:
            return now
