"""The conditions of a run, also where something of them is missing."""

import pytest

from loadtest.host.machine import PREFIX, Conditions
from service.settings import SECRETS


def conditions(**settings: str) -> Conditions:
    return Conditions.now(command="c", pinned="p", client="wrk", model="m", settings=settings)


def test_a_machine_without_git_is_measured_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert conditions().commit == "not known: there is no git"


def test_only_what_is_installed_of_the_packages_is_told() -> None:
    packages = conditions().packages
    assert {"onnxruntime", "onnxruntime-gpu"} & set(packages)
    assert all(packages.values())


def test_secrets_are_not_written_down() -> None:
    secret = {f"{PREFIX}{name.upper()}": "secret" for name in SECRETS}
    reported = conditions(**secret, DIGITSERVE_THREADS="1").settings
    assert reported == dict.fromkeys(secret, "...") | {"DIGITSERVE_THREADS": "1"}
