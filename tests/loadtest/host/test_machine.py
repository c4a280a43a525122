"""The recorded conditions of a run, even if some of them are unknown."""

import pytest

from loadtest.host.machine import PREFIX, Conditions
from service.settings import HIDDEN


def conditions(**settings: str) -> Conditions:
    return Conditions.now(command="c", pinned="p", client="wrk", model="m", settings=settings)


def test_a_machine_without_git_can_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert conditions().commit == "not known: there is no git"


def test_only_installed_packages_are_listed() -> None:
    packages = conditions().packages
    assert {"onnxruntime", "onnxruntime-gpu"} & set(packages)
    assert all(packages.values())


def test_secrets_are_not_recorded() -> None:
    secret = {f"{PREFIX}{name.upper()}": "secret" for name in HIDDEN}
    reported = conditions(**secret, DIGITSERVE_THREADS="1").settings
    assert reported == dict.fromkeys(secret, "...") | {"DIGITSERVE_THREADS": "1"}
