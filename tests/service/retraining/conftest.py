"""A service with a database of jobs, and a worker that does as the test says."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from contract.store import Store
from contract.version import Version
from tests.support.jobs import ScriptedWorker, worker_of
from tests.support.running import ADMIN, TOKEN, Service


@pytest.fixture(scope="package")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedWorker]:
    with worker_of(tmp_path_factory.mktemp("jobs")) as worker:
        yield worker


@pytest.fixture(scope="package")
def retraining(published: tuple[Store, Version], worker: ScriptedWorker) -> Iterator[Service]:
    models = published[0].folder.parent
    with Service.started(models, jobs=worker.url, admin_token=TOKEN, max_jobs=3) as service:
        yield service


@pytest.fixture
def database(worker: ScriptedWorker) -> Path:
    return Path(worker.url.removeprefix("sqlite:///"))


@pytest.fixture
def admin(retraining: Service, worker: ScriptedWorker) -> Iterator[httpx2.Client]:
    """With the admin token. The jobs that the test leaves are cancelled."""
    worker.steps = worker.version = 1
    worker.gate = None
    with retraining.client(headers=ADMIN) as client:
        yield client
        for job in client.get("/v1/retrain").json()["jobs"]:
            client.post(f"/v1/retrain/{job['id']}/cancel")
