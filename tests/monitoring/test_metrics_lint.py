"""The linter of Prometheus accepts the metrics of the service."""

import subprocess

import numpy as np
import pytest

from contract.store import Store
from contract.version import Version
from tests.monitoring.binaries import PROMTOOL
from tests.support import fetch
from tests.support.metrics import settle
from tests.support.pictures import SEVEN
from tests.support.running import ROOT, Service, wait_until
from tests.support.tensors import client_of, inputs_of


def lint(exposition: bytes) -> tuple[int, str]:
    words = [str(PROMTOOL), "check", "metrics"]
    done = subprocess.run(words, input=exposition, capture_output=True, check=False)
    return done.returncode, (done.stdout + done.stderr).decode()


def test_the_linter_detects_problems() -> None:
    code, output = lint(b"# TYPE digitserve_shed counter\ndigitserve_shed 1\n")
    assert code != 0
    assert "_total" in output


@pytest.mark.parametrize("workers", [1, 2])
def test_the_metrics_pass_the_linter(
    published: tuple[Store, Version],
    workers: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests/support/fake_gpu"))  # simulate a GPU
    with Service.started(published[0].folder.parent, workers=workers) as service:
        for body in (SEVEN, b"nonsense"):
            fetch.post(f"{service.url}/v1/predict?threshold=1", content=body)
        with client_of(service) as client:
            client.infer("digits", inputs_of(np.zeros((3, 28, 28), np.uint8)))
        fetch.get(f"{service.url}/nowhere")
        settle(service)

        def exposition() -> bytes:
            return fetch.get(f"{service.url}/metrics").content

        wait_until(lambda: b"digitserve_gpu_" in exposition(), service)
        text = exposition()
    for name in (b"http_requests_total", b"predictions_uncertain_total", b"inference_seconds"):
        assert b"digitserve_%b" % name in text
    assert b"process_cpu_seconds_total" in text
    assert lint(text) == (0, "")
