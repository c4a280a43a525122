"""GET /v1/runs shows training runs of the machine as far as they are written."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from contract.jobs import Progress
from contract.store import Store
from contract.version import Version
from tests.support.jobs import progress
from tests.support.problems import refusal
from tests.support.running import ADMIN, TOKEN, Service

LONG_AGO = 1_000_000_000.0  # seconds since the epoch


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def client(published: tuple[Store, Version], runs: Path) -> Iterator[httpx2.Client]:
    models = published[0].folder.parent
    with (
        Service.started(models, runs=runs, admin_token=TOKEN) as service,
        service.client(headers=ADMIN) as client,
    ):
        yield client


def written(runs: Path, run_id: str, steps: int = 3, began: float = LONG_AGO) -> Path:
    """A run that trains. It began at that time."""
    folder = runs / run_id
    folder.mkdir()
    facts = {
        "data": {"wanted": "mnist", "source": "/home/somebody/secret/mnist"},
        "recipe": {"network": "compact", "epochs": 5},
        "began": "2026-05-01T12:00:00Z",
    }
    (folder / "run.json").write_text(json.dumps(facts))
    lines = [progress(step).model_dump_json() for step in range(1, steps + 1)]
    (folder / "progress.jsonl").write_text("\n".join(lines) + "\n")
    epoch = {"epoch": 1, "loss": 0.5, "validation_accuracy": 0.9, "learning_rate": 0.01}
    (folder / "metrics.jsonl").write_text(json.dumps(epoch) + "\n")
    os.utime(folder / "run.json", (began, began))
    return folder


def shown(client: httpx2.Client, run_id: str) -> Any:
    response = client.get(f"/v1/runs/{run_id}")
    assert response.status_code == 200, response.text
    assert "secret" not in response.text
    return response.json()


def test_a_run_that_trains_is_shown_with_its_curve(client: httpx2.Client, runs: Path) -> None:
    written(runs, "trains", steps=3)
    run = shown(client, "trains")
    assert run["state"] == "running"
    assert [point["epoch"] for point in run["curve"]] == [1, 2, 3]
    assert run["progress"] == run["curve"][-1]
    assert run["epochs"][0]["validation_accuracy"] == 0.9
    assert (run["data"], run["network"]) == ("mnist", "compact")
    assert run["metrics"] is None


def test_a_line_that_is_not_yet_whole_is_left_out(client: httpx2.Client, runs: Path) -> None:
    folder = written(runs, "writes", steps=2)
    with (folder / "progress.jsonl").open("a") as file:
        file.write('{"epoch": 3, "epo')
    assert [point["epoch"] for point in shown(client, "writes")["curve"]] == [1, 2]


def test_a_completed_run_is_shown_with_its_metrics(
    client: httpx2.Client, runs: Path, version: Version
) -> None:
    folder = written(runs, "ended")
    metrics = version.folder / "training_metrics.json"
    (folder / "training_metrics.json").write_bytes(metrics.read_bytes())
    (folder / "checkpoint.pt").touch()
    run = shown(client, "ended")
    assert run["state"] == "completed"
    assert run["metrics"]["confusion_matrix"] == json.loads(metrics.read_text())["confusion_matrix"]


def test_a_run_without_progress_for_long_has_stopped(client: httpx2.Client, runs: Path) -> None:
    folder = written(runs, "stopped")
    for file in folder.iterdir():
        os.utime(file, (LONG_AGO, LONG_AGO))
    assert shown(client, "stopped")["state"] == "stopped"


def test_a_long_curve_is_thinned_and_keeps_its_last_point(
    client: httpx2.Client, runs: Path
) -> None:
    written(runs, "long", steps=2500)
    curve = [Progress.model_validate(point) for point in shown(client, "long")["curve"]]
    assert len(curve) <= 1000
    assert curve[-1] == progress(2500)


@pytest.mark.parametrize(
    "facts", ['{"data": "mnist"}', '{"began": "yesterday"}', '{"recipe": {"network": [1]}}']
)
def test_a_run_that_cannot_be_read_does_not_hide_the_others(
    client: httpx2.Client, runs: Path, facts: str
) -> None:
    whole, odd = written(runs, "whole"), written(runs, "odd")
    (odd / "run.json").write_text(facts)
    try:
        listed = client.get("/v1/runs").json()
        assert listed["unreadable"] == 1
        assert "whole" in [run["id"] for run in listed["runs"]]
        assert refusal(client.get("/v1/runs/odd")) == (503, "runs-unreadable")
    finally:
        for folder in (whole, odd):
            shutil.rmtree(folder)


def test_the_newest_runs_are_listed_first(client: httpx2.Client, runs: Path) -> None:
    for hour in (1, 2, 3):
        written(runs, f"hour-{hour}", began=2 * LONG_AGO + 3600 * hour)
    listed = client.get("/v1/runs", params={"limit": 2}).json()["runs"]
    assert [run["id"] for run in listed] == ["hour-3", "hour-2"]


def test_what_is_no_run_is_neither_listed_nor_found(client: httpx2.Client, runs: Path) -> None:
    (runs / "latest").write_text("hour-3\n")
    (runs / "empty").mkdir()
    written(runs, ".hidden")
    ids = [run["id"] for run in client.get("/v1/runs").json()["runs"]]
    assert {"latest", "empty", ".hidden"}.isdisjoint(ids)
    for run_id in ("latest", "empty", ".hidden", "..%2f..", "none"):
        assert client.get(f"/v1/runs/{run_id}").status_code == 404


def test_runs_need_the_token_and_the_setting(client: httpx2.Client, retraining: Service) -> None:
    assert client.get("/v1/runs", headers={"Authorization": ""}).status_code == 401
    with retraining.client(headers=ADMIN) as other:
        assert refusal(other.get("/v1/runs")) == (404, "runs-not-shown")


def test_a_folder_that_is_gone_is_a_503(published: tuple[Store, Version], tmp_path: Path) -> None:
    models = published[0].folder.parent
    with (
        Service.started(models, runs=tmp_path / "none", admin_token=TOKEN) as service,
        service.client(headers=ADMIN) as client,
    ):
        assert refusal(client.get("/v1/runs")) == (503, "runs-unreadable")
        assert client.get("/readyz").status_code == 200
