"""GET /v1/retrain/{id}/comparison shows what the version's own files say."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from contract.card import CHANGED, CHANGED_FACTS, GATE, Check, Gate
from contract.store import Store
from contract.version import Version
from tests.support.jobs import ScriptedWorker
from tests.support.problems import refusal
from tests.support.running import ADMIN, TOKEN, Service, wait_until
from tests.support.versions import publish

JUDGED = Gate(
    parent=1,
    verdict="better",
    images=200,
    gained=5,
    lost=1,
    p_value=0.2,
    checks=(Check(name="accuracy", passed=True, candidate=0.96, current=0.94, reason="Higher."),),
)
CONFUSION = {"candidate": [[19, 0], [1, 20]], "current": [[18, 1], [2, 19]]}
FACTS = {"labels": ["7"], "candidate": ["7"], "current": ["1"]}


def _judge(draft: Path) -> None:
    (draft / GATE).write_text(json.dumps({"verdict": "better", "confusion": CONFUSION}))
    (draft / CHANGED_FACTS).write_text(json.dumps(FACTS))
    shutil.copy(draft / "samples.png", draft / CHANGED)


@pytest.fixture(scope="module")
def judged_store(
    published: tuple[Store, Version], tmp_path_factory: pytest.TempPathFactory
) -> Store:
    """Version 1 was not judged, 2 was, and 3 could not be compared."""
    models = tmp_path_factory.mktemp("judged")
    shutil.copytree(published[0].folder, models / "digits")
    store = Store(models, "digits")
    publish(store, published[1], _judge, gate=JUDGED)
    publish(store, published[1], gate=JUDGED.model_copy(update={"verdict": "worse"}))
    return store


@pytest.fixture(scope="module")
def client(judged_store: Store, worker: ScriptedWorker) -> Iterator[httpx2.Client]:
    models = judged_store.folder.parent
    with (
        Service.started(models, jobs=worker.url, admin_token=TOKEN, watch_seconds=0) as service,
        service.client(headers=ADMIN) as client,
    ):
        yield client


def published_by_a_job(
    version: int, client: httpx2.Client, retraining: Service, worker: ScriptedWorker
) -> str:
    """The id of a job that has published that version."""
    worker.version = version
    job_id: str = client.post("/v1/retrain", json={"activate": "never"}).json()["id"]
    worker.ends.add(job_id)
    path = f"/v1/retrain/{job_id}"
    wait_until(lambda: client.get(path).json()["state"] == "kept", retraining)
    return job_id


def test_both_confusion_matrices_and_the_changed_images_are_shown(
    admin: httpx2.Client, client: httpx2.Client, retraining: Service, worker: ScriptedWorker
) -> None:
    job_id = published_by_a_job(2, client, retraining, worker)
    compared = client.get(f"/v1/retrain/{job_id}/comparison").json()
    assert compared["candidate"] == {"version": "2", "confusion": CONFUSION["candidate"]}
    assert compared["current"] == {"version": "1", "confusion": CONFUSION["current"]}
    assert compared["gate"] == JUDGED.model_dump(mode="json")
    assert compared["labels"] == list("0123456789")
    assert compared["changed"]["facts"] == FACTS
    image = client.get(compared["changed"]["image"])
    assert (image.status_code, image.headers["content-type"]) == (200, "image/png")


def test_without_matrices_the_verdict_is_shown(
    admin: httpx2.Client, client: httpx2.Client, retraining: Service, worker: ScriptedWorker
) -> None:
    job_id = published_by_a_job(3, client, retraining, worker)
    compared = client.get(f"/v1/retrain/{job_id}/comparison").json()
    assert compared["gate"]["verdict"] == "worse"
    assert compared["candidate"]["confusion"] is compared["changed"] is None


@pytest.mark.parametrize(("version", "code"), [(1, "no-comparison"), (9, "no-such-version")])
def test_what_was_not_judged_or_is_gone_is_not_found(
    admin: httpx2.Client,
    client: httpx2.Client,
    retraining: Service,
    worker: ScriptedWorker,
    version: int,
    code: str,
) -> None:
    job_id = published_by_a_job(version, client, retraining, worker)
    assert refusal(client.get(f"/v1/retrain/{job_id}/comparison")) == (404, code)


def test_a_job_that_trains_has_no_comparison_yet(
    admin: httpx2.Client, client: httpx2.Client
) -> None:
    job_id = admin.post("/v1/retrain", json={}).json()["id"]
    assert refusal(client.get(f"/v1/retrain/{job_id}/comparison")) == (404, "no-comparison")
