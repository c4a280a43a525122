"""The database of jobs is locked, full, gone or Postgres: no job is lost or run twice."""

import pickle
import sqlite3
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest

from contract.job_connection import create
from contract.job_database import JobDatabase
from contract.jobs import Request
from tests.retraining.place import SMALL, Place
from tests.retraining.postgres import PASSWORD, PROGRAMS, Postgres
from tests.support.running import ROOT

# A job that ends within a second: it is refused.
REFUSED = ("--set", "network=my_module:build")
ROUNDS = 20
REASON = "a network of your own runs code"


def file_of(place: Place) -> Path:
    return Path(place.environment["DIGITSERVE_JOBS"].removeprefix("sqlite:///"))


def test_a_job_that_fails_says_why_and_the_worker_goes_on(place: Place) -> None:
    for job in ("one", "two"):
        place.command("submit", "--id", job, *REFUSED)
    worker = place.worker()
    for job in ("one", "two"):
        failed = place.wait_for(job, "failed")
        assert REASON in (failed.reason or "")
        assert failed.resumable
    assert worker.stop() == 0
    assert "dbos.dev" not in worker.log


def test_a_failed_job_can_be_resumed(place: Place) -> None:
    place.command("submit", "--id", "job", *REFUSED)
    worker = place.worker()
    place.wait_for("job", "failed")
    worker.stop()
    assert place.command("resume", "job") == 0
    assert place.job("job").state == "queued"


def test_a_second_worker_of_a_name_is_refused(place: Place) -> None:
    first = place.worker("ann's laptop")
    second = place.start_worker("ann's laptop")
    assert second.exit_code() == 1
    assert "a worker named ann's laptop runs already" in second.log
    assert "--name" in second.log
    first.kill()
    place.worker("ann's laptop")


class Touch:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self._path,)


def test_what_is_pickled_in_the_database_is_not_run(place: Place, tmp_path: Path) -> None:
    for job in ("pickled", "next"):
        place.command("submit", "--id", job, *REFUSED)
    run = tmp_path / "run"
    content = b64encode(pickle.dumps(Touch(run))).decode()
    with closing(sqlite3.connect(file_of(place))) as database, database:
        for change in (
            "UPDATE workflow_input SET inputs = ? WHERE workflow_uuid = 'pickled'",
            "UPDATE workflow_status SET serialization = 'py_pickle' "
            "WHERE workflow_uuid = 'pickled' AND ? IS NOT NULL",
        ):
            assert database.execute(change, [content]).rowcount == 1
    assert place.command("show", "pickled") == 1
    assert place.command("list") == 0
    worker = place.worker()
    place.wait_for("next", "failed")
    worker.stop()
    assert not run.exists()


def test_a_job_that_is_submitted_twice_at_once_is_one(place: Place) -> None:
    url = place.environment["DIGITSERVE_JOBS"]
    create(url)
    together = Barrier(2)

    def submit(_: int) -> list[bool]:
        """Whether the job was new, of each."""
        new = []
        with closing(JobDatabase(url, "digits")) as database:
            for job in range(ROUNDS):
                together.wait()
                new.append(database.submit(f"job-{job}", Request(), 2 * ROUNDS)[1])
        return new

    with ThreadPoolExecutor(2) as clients:
        one, other = clients.map(submit, range(2))
    assert [first != second for first, second in zip(one, other, strict=True)] == [True] * ROUNDS


@pytest.mark.slow
def test_a_worker_waits_for_a_locked_database(place: Place) -> None:
    place.command("submit", "--id", "job", *REFUSED)
    worker = place.worker()
    place.wait_for("job", "failed")
    place.command("submit", "--id", "next", *REFUSED)
    with sqlite3.connect(file_of(place), isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(subprocess.TimeoutExpired):
            worker.process.wait(3)
        other.execute("ROLLBACK")
    place.wait_for("next", "failed")


@pytest.mark.slow
def test_a_command_does_not_wait_for_ever_for_a_locked_database(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.command("submit", "--id", "job")
    with closing(sqlite3.connect(place.database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert place.command("list") == 1
    assert "another program holds its lock" in capsys.readouterr().err
    assert place.command("list") == 0


@pytest.mark.slow
def test_a_job_is_followed_on_after_its_database_was_locked(place: Place) -> None:
    words = [sys.executable, "-m", "retraining", "submit", "--id", "job", "--follow"]
    with subprocess.Popen(
        words, cwd=ROOT, env=place.environment, stdout=subprocess.PIPE, text=True
    ) as following:
        assert following.stdout is not None
        assert "queued" in following.stdout.readline()
        with closing(sqlite3.connect(place.database, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(subprocess.TimeoutExpired):
                following.wait(5)  # longer than a statement waits for the lock
            other.execute("ROLLBACK")
        assert place.command("cancel", "job") == 0
        assert "cancelled" in following.stdout.readline()


def test_a_worker_whose_database_was_removed_ends_and_says_so(place: Place) -> None:
    worker = place.worker()
    file_of(place).unlink()
    assert worker.exit_code() == 1
    assert "jobs.sqlite was removed or replaced" in worker.log


@pytest.mark.slow
def test_a_worker_whose_disk_is_full_ends_and_the_job_goes_on_later(place: Place) -> None:
    for job in ("one", "two", "three"):
        place.command("submit", "--id", job, *REFUSED)
    blocks = file_of(place).stat().st_size // 1024
    worker = place.start_worker(prefix=["prlimit", f"--fsize={blocks * 1024}"])
    assert worker.exit_code() == 1
    assert "jobs go on when the worker starts again" in worker.log
    place.worker()
    place.wait_for("three", "failed")


needs_postgres = pytest.mark.skipif(
    PROGRAMS is None, reason="there is no Postgres: apt install postgresql"
)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres.started() as postgres:
        yield postgres


@needs_postgres
def test_postgres_takes_the_place_of_the_file(place: Place, postgres: Postgres) -> None:
    place.environment["DIGITSERVE_JOBS"] = postgres.url
    place.command("submit", "--id", "job", *REFUSED)
    worker = place.worker()
    place.wait_for("job", "failed")
    assert worker.stop() == 0
    assert "postgresql://ann:***@" in worker.log
    assert PASSWORD not in worker.log


@needs_postgres
def test_a_second_worker_of_a_name_is_refused_on_another_host(
    place: Place, postgres: Postgres, tmp_path: Path
) -> None:
    place.environment["DIGITSERVE_JOBS"] = postgres.url
    first = place.worker("ann")
    place.environment["DIGITSERVE_RUNS"] = str(tmp_path / "of another host")
    second = place.start_worker("ann")
    assert second.exit_code() == 1
    assert "a worker named ann runs already" in second.log
    first.kill()
    place.worker("ann")


@needs_postgres
def test_a_worker_without_postgres_says_so_at_its_start(place: Place) -> None:
    place.environment["DIGITSERVE_JOBS"] = "postgresql://ann:secret@127.0.0.1:1/jobs"
    worker = place.start_worker()
    assert worker.exit_code() == 1
    assert "cannot be used: postgresql://ann:***@127.0.0.1:1/jobs: " in worker.log
    assert "secret" not in worker.log


@needs_postgres
@pytest.mark.slow
def test_a_training_goes_on_while_postgres_is_gone(place: Place, postgres: Postgres) -> None:
    place.environment["DIGITSERVE_JOBS"] = postgres.url
    place.command("submit", "--id", "gone", "--activate", "never", *SMALL)
    worker = place.worker()
    place.wait_for("gone", "training", progress=...)
    postgres.stop()
    postgres.start()
    job = place.wait_for("gone", "kept")
    assert job.version == 2
    worker.stop()
