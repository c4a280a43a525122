"""POST /v1/retrain starts a job once; its state is what the worker and the queue say."""

from typing import Any

import httpx2
import pytest

from contract.store import Store
from contract.version import Version
from tests.support.jobs import ScriptedWorker
from tests.support.problems import refusal
from tests.support.running import ADMIN, TOKEN, Service, wait_until
from tests.support.versions import gate


def start(client: httpx2.Client, key: str | None = None, **request: Any) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post("/v1/retrain", json=request, headers=headers)


def state(client: httpx2.Client, job_id: str) -> str:
    found: str = client.get(f"/v1/retrain/{job_id}").json()["state"]
    return found


def wait_for_state(client: httpx2.Client, job_id: str, wanted: str, service: Service) -> None:
    wait_until(lambda: state(client, job_id) == wanted, service)


@pytest.fixture
def running(admin: httpx2.Client, retraining: Service) -> str:
    """The id of a job that trains."""
    job_id: str = start(admin, activate="ask").json()["id"]
    wait_for_state(admin, job_id, "training", retraining)
    return job_id


def test_a_job_is_accepted_and_then_trains(admin: httpx2.Client, retraining: Service) -> None:
    request = {"preset": "quick", "recipe": {"epochs": 2}, "activate": "never"}
    response = admin.post("/v1/retrain", json=request)
    job = response.json()
    assert response.status_code == 202
    assert response.headers["location"] == f"/v1/retrain/{job['id']}"
    assert job["state"] == "queued"
    assert job["request"] == {"data": None, "corrections": True, **request}
    assert job["model"] == "digits"
    wait_for_state(admin, job["id"], "training", retraining)


def test_the_end_is_what_the_worker_says(
    admin: httpx2.Client, retraining: Service, worker: ScriptedWorker
) -> None:
    for activate, end in (("never", "kept"), ("if_better", "activated")):
        job_id = start(admin, activate=activate).json()["id"]
        worker.ends.add(job_id)
        wait_for_state(admin, job_id, end, retraining)


def test_the_same_key_and_request_are_the_same_job(admin: httpx2.Client) -> None:
    first, again = start(admin, "k-1", preset="quick"), start(admin, "k-1", preset="quick")
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["id"] == again.json()["id"]
    assert first.headers["location"] == again.headers["location"]


def test_the_same_key_with_another_request_is_refused(admin: httpx2.Client) -> None:
    start(admin, "k-2", preset="quick")
    assert refusal(start(admin, "k-2", preset="best")) == (409, "idempotency-key-reused")


def test_no_more_jobs_wait_than_may(admin: httpx2.Client, running: str) -> None:
    for _ in range(3):
        assert start(admin).status_code == 202
    refused = start(admin)
    assert refusal(refused) == (503, "too-many-jobs")
    assert refused.headers["retry-after"] == "60"


def test_the_newest_jobs_are_listed_first(admin: httpx2.Client) -> None:
    ids = [start(admin).json()["id"] for _ in range(3)]
    listed = admin.get("/v1/retrain", params={"limit": 2}).json()
    assert [job["id"] for job in listed["jobs"]] == ids[:0:-1]
    assert listed["max_jobs"] == 3


def test_a_job_that_runs_is_cancelled_and_resumed(
    admin: httpx2.Client, running: str, retraining: Service
) -> None:
    cancelled = admin.post(f"/v1/retrain/{running}/cancel").json()
    assert (cancelled["state"], cancelled["resumable"]) == ("cancelled", True)
    assert cancelled["ended"] is not None
    resumed = admin.post(f"/v1/retrain/{running}/resume").json()
    assert resumed["state"] in ("queued", "training")
    wait_for_state(admin, running, "training", retraining)


def test_a_cancelled_job_stays_cancelled(admin: httpx2.Client, running: str) -> None:
    for _ in range(2):
        assert admin.post(f"/v1/retrain/{running}/cancel").json()["state"] == "cancelled"


@pytest.mark.parametrize(("decision", "end"), [("approve", "activated"), ("reject", "rejected")])
def test_a_decision_is_made_once(
    admin: httpx2.Client,
    running: str,
    retraining: Service,
    worker: ScriptedWorker,
    decision: str,
    end: str,
) -> None:
    worker.ends.add(running)
    wait_for_state(admin, running, "awaiting_approval", retraining)
    for _ in range(2):
        assert admin.post(f"/v1/retrain/{running}/{decision}").status_code == 200
    wait_for_state(admin, running, end, retraining)
    other = "reject" if decision == "approve" else "approve"
    assert refusal(admin.post(f"/v1/retrain/{running}/{other}")) == (409, "already-decided")


def test_a_worse_version_is_approved_only_by_force(
    admin: httpx2.Client, running: str, retraining: Service, worker: ScriptedWorker
) -> None:
    worker.gate = gate("worse")
    worker.ends.add(running)
    wait_for_state(admin, running, "awaiting_approval", retraining)
    refused = admin.post(f"/v1/retrain/{running}/approve")
    assert refusal(refused) == (409, "version-is-worse")
    assert "worse than 1 in accuracy: It fell from 95% to 90%." in refused.json()["detail"]
    assert state(admin, running) == "awaiting_approval"
    assert admin.post(f"/v1/retrain/{running}/approve", json={"force": True}).is_success
    wait_for_state(admin, running, "activated", retraining)


@pytest.mark.parametrize("action", ["approve", "reject"])
def test_a_job_that_trains_cannot_be_decided_on(
    admin: httpx2.Client, running: str, action: str
) -> None:
    refused = admin.post(f"/v1/retrain/{running}/{action}")
    assert refusal(refused) == (409, "job-in-other-state")
    assert "training" in refused.json()["detail"]


def test_a_job_that_has_ended_can_be_neither_cancelled_nor_resumed(
    admin: httpx2.Client, retraining: Service, worker: ScriptedWorker
) -> None:
    job_id = start(admin, activate="never").json()["id"]
    worker.ends.add(job_id)
    wait_for_state(admin, job_id, "kept", retraining)
    for action in ("cancel", "resume"):
        refused = admin.post(f"/v1/retrain/{job_id}/{action}")
        assert refusal(refused) == (409, "job-in-other-state")


@pytest.mark.parametrize("path", ["/none", "/none/events", "/none/comparison"])
def test_an_unknown_job_is_not_found(admin: httpx2.Client, path: str) -> None:
    assert refusal(admin.get(f"/v1/retrain{path}")) == (404, "no-such-job")


def test_a_decision_is_no_job(
    admin: httpx2.Client, running: str, retraining: Service, worker: ScriptedWorker
) -> None:
    worker.ends.add(running)
    wait_for_state(admin, running, "awaiting_approval", retraining)
    admin.post(f"/v1/retrain/{running}/reject")
    assert refusal(admin.get(f"/v1/retrain/{running}.decision")) == (404, "no-such-job")
    ids = [job["id"] for job in admin.get("/v1/retrain").json()["jobs"]]
    assert not any(job_id.endswith(".decision") for job_id in ids)


@pytest.mark.parametrize(
    "body", [{"preset": "perfect"}, {"activate": "always"}, {"epochs": 3}, {"recipe": [1]}, []]
)
def test_a_wrong_request_is_refused_by_field(admin: httpx2.Client, body: Any) -> None:
    refused = admin.post("/v1/retrain", json=body)
    assert refusal(refused) == (400, "bad-document")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("epochs", 0, "epochs must be a whole number from 1 to 10,000"),
        ("epochs", 2.5, "epochs must be a whole number from 1 to 10,000"),
        ("epochs", True, "epochs must be a whole number from 1 to 10,000"),
        ("learning_rate", 11, "learning_rate must be a number from 1e-06 to 10"),
        ("width", "wide", "width must be a number from 0.25 to 8"),
    ],
)
def test_a_value_out_of_bounds_is_refused_before_the_job_starts(
    admin: httpx2.Client, name: str, value: Any, reason: str
) -> None:
    refused = admin.post("/v1/retrain", json={"recipe": {name: value}})
    assert refused.status_code == 400
    assert refused.json()["detail"] == f"recipe: {reason}"


def test_a_wrong_option_of_the_recipe_is_refused_with_the_likely_one(admin: httpx2.Client) -> None:
    refused = admin.post("/v1/retrain", json={"recipe": {"epoch": 3}})
    assert refusal(refused) == (400, "bad-document")
    assert refused.json()["detail"] == "recipe: there is no option epoch: did you mean epochs?"


def test_a_wrong_key_is_refused(admin: httpx2.Client) -> None:
    assert refusal(start(admin, "x" * 256)) == (400, "bad-parameter")


@pytest.mark.parametrize("path", ["", "/1", "/1/events", "/1/comparison"])
def test_nothing_is_shown_without_the_token(retraining: Service, path: str) -> None:
    with retraining.client() as client:
        assert refusal(client.get(f"/v1/retrain{path}")) == (401, "no-admin-token")


@pytest.mark.parametrize(
    ("compose", "advice"),
    [("", "make worker"), ("true", "sqlite:////jobs/jobs.sqlite")],
    ids=["make", "compose"],
)
def test_without_a_database_the_routes_say_how_to_set_one_up(
    published: tuple[Store, Version], compose: str, advice: str
) -> None:
    models = published[0].folder.parent
    with (
        Service.started(models, admin_token=TOKEN, compose=compose) as service,
        service.client(headers=ADMIN) as client,
    ):
        status = client.get("/v1/status").json()["retraining"]
        for refused in (client.get("/v1/retrain"), client.post("/v1/retrain", json={})):
            assert refusal(refused) == (404, "retraining-not-set-up")
            assert "set DIGITSERVE_JOBS to a database" in refused.json()["detail"]
            assert advice in refused.json()["detail"]
    assert status == {"set_up": False, "reachable": None, "runs": False}
