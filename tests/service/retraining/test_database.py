"""A database that is locked, gone or never made costs the routes a 503, and predictions nothing."""

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2

from contract.store import Store
from contract.version import Version
from service.retraining.thread import WAITING
from tests.support.pictures import encoded, seven
from tests.support.problems import refusal
from tests.support.running import ADMIN, TOKEN, Service, wait_to_read, wait_until

SECRET = "a-password-that-nobody-reads"


@contextmanager
def service_with(
    published: tuple[Store, Version], url: str, **settings: Any
) -> Iterator[tuple[Service, httpx2.Client]]:
    models = published[0].folder.parent
    with (
        Service.started(models, jobs=url, admin_token=TOKEN, **settings) as service,
        service.client(headers=ADMIN) as client,
    ):
        yield service, client


def predicts(service: Service) -> bool:
    with service.client(headers={"Content-Type": "image/png"}) as client:
        return bool(client.post("/v1/predict", content=encoded(seven())).is_success)


def test_a_database_that_was_never_made_is_a_503_and_is_not_made(
    published: tuple[Store, Version], tmp_path: Path
) -> None:
    path = tmp_path / "jobs.sqlite"
    with service_with(published, f"sqlite:///{path}") as (service, client):
        for refused in (client.get("/v1/retrain"), client.post("/v1/retrain", json={})):
            assert refusal(refused) == (503, "jobs-unavailable")
            assert refused.headers["retry-after"] == "5"
            assert "start a worker, make worker" in refused.json()["detail"]
        assert predicts(service)
        status = client.get("/v1/status").json()["retraining"]
        assert (status["set_up"], status["reachable"]) == (True, False)
        wait_to_read("database of retraining jobs cannot be used", service)
    assert not path.exists()


def test_a_file_that_is_no_database_is_a_503(
    published: tuple[Store, Version], tmp_path: Path
) -> None:
    (tmp_path / "jobs.sqlite").write_text("no database " * 1000)
    with service_with(published, f"sqlite:///{tmp_path}/jobs.sqlite") as (service, client):
        assert refusal(client.get("/v1/retrain")) == (503, "jobs-unavailable")
        assert predicts(service)


def test_while_the_database_is_locked_predictions_are_answered(
    admin: httpx2.Client, retraining: Service, database: Path
) -> None:
    answers: list[httpx2.Response] = []
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        asking = threading.Thread(target=lambda: answers.append(admin.post("/v1/retrain", json={})))
        asking.start()
        while asking.is_alive():
            assert predicts(retraining)
    assert refusal(answers[0]) == (503, "jobs-unavailable")
    wait_until(lambda: admin.get("/v1/retrain").status_code == 200, retraining)
    assert admin.get("/v1/status").json()["retraining"]["reachable"] is True
    wait_to_read("database of retraining jobs can be used again", retraining)


def test_a_database_that_went_away_and_came_back_needs_no_restart(
    admin: httpx2.Client, retraining: Service, database: Path
) -> None:
    aside = database.rename(database.with_suffix(".aside"))
    try:
        assert refusal(admin.get("/v1/retrain")) == (503, "jobs-unavailable")
        assert predicts(retraining)
    finally:
        aside.rename(database)
    assert admin.get("/v1/retrain").status_code == 200


def test_a_server_that_is_gone_is_a_503_and_its_password_stays_secret(
    published: tuple[Store, Version],
) -> None:
    url = f"postgresql://digits:{SECRET}@127.0.0.1:1/jobs"
    with service_with(published, url) as (service, client):
        refused = client.get("/v1/retrain")
        assert refusal(refused) == (503, "jobs-unavailable")
        assert predicts(service)
        wait_to_read("database of retraining jobs cannot be used", service)
        shown = refused.text + client.get("/v1/status").text + client.get("/metrics").text
        assert SECRET not in shown + service.log


def test_a_wrong_address_is_refused_at_start_without_showing_it(
    published: tuple[Store, Version],
) -> None:
    url = f"mysql://digits:{SECRET}@127.0.0.1/jobs"
    service = Service(published[0].folder.parent, jobs=url)
    assert service.exit_code() == 2
    assert "DIGITSERVE_JOBS" in service.log
    assert SECRET not in service.log


def test_more_requests_than_may_wait_are_refused_though_the_database_can_be_used(
    admin: httpx2.Client, retraining: Service
) -> None:
    with ThreadPoolExecutor(2 * WAITING) as clients:
        answers = [*clients.map(lambda _: admin.get("/v1/retrain"), range(4 * WAITING))]
    refused = {refusal(answer) for answer in answers if not answer.is_success}
    assert refused <= {(503, "too-many-requests-wait")}
    assert admin.get("/v1/status").json()["retraining"]["reachable"] is True


def test_metrics_count_the_jobs_by_state(admin: httpx2.Client, retraining: Service) -> None:
    admin.post("/v1/retrain", json={})
    text = admin.get("/metrics").text
    assert "digitserve_jobs_reachable 1" in text
    assert 'digitserve_jobs{state="awaiting_approval"}' in text
