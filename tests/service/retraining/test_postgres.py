"""The same routes on Postgres: jobs, a server that goes away, and its password."""

from collections.abc import Iterator

import pytest
from dbos import run_dbos_database_migrations

from contract.store import Store
from contract.version import Version
from tests.retraining.postgres import PASSWORD, PROGRAMS, Postgres
from tests.service.retraining.test_database import predicts
from tests.service.retraining.test_events import watching
from tests.support.problems import refusal
from tests.support.running import ADMIN, TOKEN, Service, wait_to_read, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAMS is None, reason="Postgres is not installed"),
]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres.started() as postgres:
        run_dbos_database_migrations(system_database_url=postgres.url)
        yield postgres


def test_jobs_are_started_shown_and_cancelled_and_a_lost_server_comes_back(
    published: tuple[Store, Version], postgres: Postgres
) -> None:
    models = published[0].folder.parent
    with (
        Service.started(models, jobs=postgres.url, admin_token=TOKEN) as service,
        service.client(headers=ADMIN) as client,
    ):
        key = {"Idempotency-Key": "monday"}
        job = client.post("/v1/retrain", json={}, headers=key).json()
        assert client.post("/v1/retrain", json={}, headers=key).json() == job
        assert client.get("/v1/retrain").json()["jobs"] == [job]
        with watching(service, job["id"]) as events:
            assert next(events).state == "queued"
            client.post(f"/v1/retrain/{job['id']}/cancel")
            assert next(events).state == "cancelled"
        assert client.post(f"/v1/retrain/{job['id']}/resume").json()["state"] == "queued"
        postgres.stop()
        refused = client.get("/v1/retrain")
        assert refusal(refused) == (503, "jobs-unavailable")
        assert predicts(service)
        wait_to_read("database of retraining jobs cannot be used", service)
        postgres.start()
        wait_until(lambda: client.get("/v1/retrain").status_code == 200, service)
        shown = refused.text + client.get("/v1/status").text + client.get("/metrics").text
        assert PASSWORD not in shown + service.log
