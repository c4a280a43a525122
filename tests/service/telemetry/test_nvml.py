"""The metrics of a GPU, read through a fake of NVIDIA's package, and the effect of its failures."""

import re
import sys
import time
from pathlib import Path

import pytest

from contract.store import Store
from contract.version import Version
from service.telemetry.metrics.gpu import Gpus
from tests.support.marks import slow
from tests.support.metrics import metric
from tests.support.pictures import SEVEN
from tests.support.program import PATIENCE
from tests.support.running import ROOT, Service, wait_to_read, wait_until

FAKE_NVML = ROOT / "tests/support/fake_gpu"
NAMES = {
    "gpu_utilization_ratio",
    "gpu_memory_used_bytes",
    "gpu_memory_total_bytes",
    "gpu_power_watts",
    "gpu_temperature_celsius",
}


@pytest.fixture
def models(published: tuple[Store, Version]) -> Path:
    return published[0].folder.parent


@pytest.fixture
def fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file with the faults of the GPU that services see from now on."""
    file = tmp_path / "fault"
    file.write_text("")
    monkeypatch.setenv("PYTHONPATH", str(FAKE_NVML))
    monkeypatch.setenv("FAKE_GPU_FAULTS", str(file))
    return file


def gpu(service: Service) -> dict[str, float]:
    with service.client() as client:
        text = client.get("/metrics").text
    found = re.findall(r'^digitserve_(gpu_\w+)\{gpu="0"\} (\S+)$', text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def predicts(service: Service) -> bool:
    with service.client(headers={"Content-Type": "image/png"}) as client:
        return client.post("/v1/predict", content=SEVEN).is_success


@pytest.mark.parametrize("workers", [1, slow(2)])
def test_every_worker_reports_the_metrics_of_a_gpu(models: Path, fault: Path, workers: int) -> None:
    with Service.started(models, workers=workers) as service:
        for _ in range(4 * workers):
            wait_until(lambda: gpu(service).keys() == NAMES, service)
        found = gpu(service)
        assert 0.25 < found["gpu_utilization_ratio"] < 0.95
        assert 2**31 < found["gpu_memory_used_bytes"] < found["gpu_memory_total_bytes"]
        assert 150 < found["gpu_power_watts"] < 450
        assert 45 < found["gpu_temperature_celsius"] < 65
        wait_until(lambda: gpu(service) != found, service)  # it is polled


@pytest.mark.slow
def test_unsupported_metrics_of_a_gpu_are_omitted_and_logged_once(
    models: Path, fault: Path
) -> None:
    fault.write_text("power")
    with Service.started(models) as service:
        wait_until(lambda: gpu(service), service)
        assert gpu(service).keys() == NAMES - {"gpu_power_watts"}
        fault.write_text("lost")
        wait_until(lambda: not gpu(service), service)
        assert predicts(service)
        fault.write_text("")
        wait_until(lambda: gpu(service).keys() == NAMES, service)
        for line in (
            "GPU 0 does not report gpu_power_watts: Not Supported",
            "GPU 0 cannot be read: GPU is lost",
        ):
            wait_to_read(line, service)
            assert service.log.count(line) == 1


@pytest.mark.slow
def test_a_hanging_driver_does_not_block_the_service(models: Path, fault: Path) -> None:
    fault.write_text("hangs")
    with Service.started(models) as service:
        assert predicts(service)
        assert gpu(service) == {}
        assert metric(service, 'http_requests_total{code="200",method="POST",route="/v1/predict"}')
        service.process.terminate()
        # It stops without waiting for the driver.
        assert service.exit_code() == 0


def test_without_a_driver_on_a_cpu_there_are_no_gpu_metrics_and_no_warning(
    models: Path, fault: Path
) -> None:
    fault.write_text("driver")
    with Service.started(models, log_level="debug") as service:
        wait_to_read("no metrics of a GPU: Driver Not Loaded", service)
        assert gpu(service) == {}
        (reported,) = (each for each in service.events if "no metrics of a GPU" in each["event"])
        assert reported["level"] == "debug"


def test_a_missing_driver_is_a_warning_if_a_gpu_serves(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)  # not installed
    gpus = Gpus(needed=True)
    gpus.start()
    deadline = time.monotonic() + PATIENCE
    while not caplog.records:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "pynvml" in record.message
    assert list(gpus.collect()) == []
