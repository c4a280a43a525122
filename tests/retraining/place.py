"""A folder with a model store and a database of jobs, the commands of a person, and workers."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from contract.job_database import JobDatabase
from contract.jobs import DatabaseUnavailable, Job
from contract.store import Store
from retraining.__main__ import main
from tests.fixtures import MODELS, Judged
from tests.support.program import Program
from tests.support.running import ROOT
from tests.support.versions import gate, publish

PATIENCE = 900.0  # seconds; a job takes twenty, and yields to all other work on the machine
COMPLETE = ("checkpoint.pt", "loss_graph.png")  # files of a run that needs no more training
# A job of seconds, whose network takes as much time as that of the tests' version.
SMALL = ("--data", "digits", "--set", "epochs=3", "--set", "width=0.5", "--set", "threads=1")


class Worker(Program):
    """`python -m retraining worker`"""

    def __init__(self, place: "Place", name: str, prefix: Sequence[str] = ()) -> None:
        """`prefix` is a program that starts it."""
        super().__init__(
            [*prefix, sys.executable, "-m", "retraining", "worker", "--name", name],
            folder=ROOT,
            environment=place.environment,
            stderr=subprocess.PIPE,
        )

    def hear(self, line: str) -> bool:
        self.url = self.url or ("ready" if "waits for jobs" in line else "")
        return bool(self.url)

    def open_files(self) -> list[Path]:
        return [Path(file.path) for file in psutil.Process(self.process.pid).open_files()]

    def kill(self) -> None:
        self.process.kill()
        self.exit_code()

    def stop(self) -> int:
        self.process.terminate()
        return self.exit_code()


class Place:
    def __init__(self, folder: Path) -> None:
        shutil.copytree(MODELS, folder / "models")
        self.workers: list[Worker] = []
        self.runs = folder / "runs"
        self.feedback = folder / "feedback"
        self.store = Store(folder / "models", "digits")
        self.database = folder / "jobs/jobs.sqlite"
        self._keep_test_set()
        self.environment = dict(os.environ) | {
            "DIGITSERVE_JOBS": f"sqlite:///{self.database}",
            "DIGITSERVE_RUNS": str(self.runs),
            "DIGITSERVE_MODELS": str(folder / "models"),
            "DIGITSERVE_FEEDBACK": str(self.feedback),
        }

    def _keep_test_set(self) -> None:
        """In the run of the current version, by which export judges versions of other data too."""
        run, judged = self.runs / str(self.store.open().card.run), Judged.load()
        run.mkdir(parents=True)
        np.savez(run / "test_set.npz", pixels=judged.pixels, labels=judged.labels)

    def has_published(self, job: str, verdict: str = "better") -> None:
        """Make a version that the job has trained, and judged with this verdict."""
        folder = self.runs / job
        folder.mkdir(parents=True)
        for name in COMPLETE:
            (folder / name).touch()
        publish(self.store, self.store.open(), job=job, gate=gate(verdict))

    def start_worker(self, name: str = "worker-1", prefix: Sequence[str] = ()) -> Worker:
        self.workers.append(Worker(self, name, prefix))
        return self.workers[-1]

    def worker(self, name: str = "worker-1") -> Worker:
        """A worker that waits for jobs."""
        worker = self.start_worker(name)
        worker.wait_until_ready()
        return worker

    def close(self) -> None:
        """End workers that run, and what they have started."""
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.stop()

    def command(self, *words: str) -> int:
        """Run `python -m retraining` in this process; the exit code."""
        before = dict(os.environ)
        os.environ.update(self.environment)
        try:
            return main(words)
        finally:
            os.environ.clear()
            os.environ.update(before)

    def job(self, job_id: str) -> Job:
        with closing(JobDatabase(self.environment["DIGITSERVE_JOBS"], "digits")) as database:
            return database.job(job_id)

    def wait_for(self, job_id: str, *states: str, **facts: Any) -> Job:
        """The job, once it is in one of the states and has all these facts."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                job = self.job(job_id)
            except DatabaseUnavailable:  # a slow disk: a writer holds its lock for seconds
                assert time.monotonic() < end
                continue
            known = all(getattr(job, name) is not None for name in facts)
            if job.state in states and known:
                return job
            assert time.monotonic() < end, job
            assert job.state != "failed" or "failed" in states, job.reason
            time.sleep(0.1)
