"""A service on real object stores: it follows them, and goes on when they do not answer."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contract.store import Store
from contract.version import Version
from tests.cloud.emulators import Emulator, Seaweed
from tests.support.pictures import SEVEN
from tests.support.running import ADMIN, ROOT, TOKEN, Service, status, wait_until
from tests.support.versions import LETTERS, publish

Machine = Callable[[str], Store]


def started(url: str, folder: Path, **settings: object) -> Any:
    return Service.started(
        url, models_cache=folder / "cache", watch_seconds=0.1, admin_token=TOKEN, **settings
    )


def label(service: Service) -> str:
    with service.client() as client:
        answer = client.post("/v1/predict", content=SEVEN)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["predictions"][0]["label"])


def contract(url: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`python -m contract`, with the environment of the test."""
    command = [sys.executable, "-m", "contract", words[0], "--models", url, *words[1:]]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def two_versions(store: Store, version: Version) -> None:
    store.activate(publish(store, version))
    publish(store, version, labels=LETTERS)


def test_a_service_follows_a_switch_by_the_command(
    emulator: Emulator, url: str, machine: Machine, version: Version, tmp_path: Path
) -> None:
    two_versions(machine("one"), version)
    with started(url, tmp_path) as service:
        assert label(service) == "7"
        done = contract(url, tmp_path, "activate", "2")
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith("digits: 1 -> 2\n")
        wait_until(lambda: label(service) == LETTERS[7], service)
        with service.client(headers=ADMIN) as client:
            assert client.post("/v1/models/digits/rollback").status_code == 200
    assert contract(url, tmp_path, "history").stdout.count("rollback") == 1
    assert emulator.secret not in service.log


def test_credentials_that_may_only_read_objects_are_enough_to_serve(
    seaweed: Seaweed, url: str, machine: Machine, version: Version, tmp_path: Path, monkeypatch: Any
) -> None:
    store = machine("one")
    two_versions(store, version)
    for name, value in seaweed.environment_of("reader").items():
        monkeypatch.setenv(name, value)
    with started(url, tmp_path) as service, service.client(headers=ADMIN) as client:
        assert label(service) == "7"
        answer = client.post("/v1/models/digits/versions/2/activate")
        assert answer.status_code == 409
        assert "the credentials do not allow to" in answer.json()["detail"]
        store.activate(2)
        wait_until(lambda: label(service) == LETTERS[7], service)
    done = contract(url, tmp_path, "activate", "1")
    assert done.returncode == 1
    assert done.stderr.startswith("contract: the credentials do not allow to ")


def test_predictions_go_on_while_the_object_store_hangs(
    seaweed: Seaweed, url: str, machine: Machine, version: Version, tmp_path: Path
) -> None:
    store = machine("one")
    two_versions(store, version)
    with started(url, tmp_path, store_timeout=1) as service:
        seaweed.process.send_signal(signal.SIGSTOP)
        try:
            wait_until(lambda: not status(service)["store"]["bucket"]["reachable"], service)
            assert label(service) == "7"
            with started(url, tmp_path, store_timeout=1) as other:  # from the same cache
                assert label(other) == "7"
        finally:
            seaweed.process.send_signal(signal.SIGCONT)
        store.activate(2)
        wait_until(lambda: label(service) == LETTERS[7], service)
        assert status(service)["store"]["bucket"]["reachable"] is True
