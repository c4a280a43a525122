"""Real soaks of some seconds: of the service, and of services with faults that they should find."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from contract.store import Store
from contract.version import Version
from loadtest.arguments import Think
from loadtest.client.requests import SampleImages
from loadtest.host import processes
from loadtest.host.machine import Conditions, Placement
from loadtest.soak.__main__ import main
from loadtest.soak.results import Results
from loadtest.soak.run import Plan, soak
from tests.support.program import interruptible
from tests.support.running import ROOT, clean_environment

Published = tuple[Store, Version]


@pytest.fixture(autouse=True)
def _default_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("DIGITSERVE_"):
            monkeypatch.delenv(name)


def faulty(store: Store, folder: Path, fault: str, seconds: float) -> Results:
    """The results of a soak of a service with that fault; five blocks in four seconds."""
    images = SampleImages.of_current(store.folder.parent, "digits")
    plan = Plan(
        seconds=seconds,
        rate=200.0,
        think=Think(0.05, 0.15),
        switch_every=0.4,
        versions=2,
        look_every=0.2,
        warm_up=seconds / 5,
        model="digits",
        cores=Placement.of(generators=1),
    )
    conditions = Conditions.now(
        command="a test", pinned="", client="locust", model="digits", settings={}
    )

    def command(port: int) -> list[str]:
        words = [sys.executable, "-m", "tests.loadtest.soak.faulty", fault]
        return ["/usr/bin/env", f"DIGITSERVE_PORT={port}", *words]

    return Results(conditions, plan, soak(plan, images, folder, command))


@pytest.mark.slow
def test_a_soak_of_the_service_succeeds_and_writes_all_files(
    published: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--models", str(published[0].folder.parent), "--results", str(tmp_path / "results")]
    words += ["--minutes", "0.4", "--rate", "50", "--switch-every", "5", "--look-every", "0.5"]
    committed = tmp_path / "docs"
    committed.mkdir()
    words += ["--markdown", str(committed / "soak.md"), "--plot", str(committed / "soak.png")]
    assert main(words) == 0
    printed = capsys.readouterr().out
    switched = re.findall(r"^ +0:\d\d  version (\d) serves, after \d+ ms$", printed, re.MULTILINE)
    assert switched == ["2", "1", "2", "1"], printed
    assert "Too short to judge trends" in printed
    assert "none failed" in printed
    (folder,) = (tmp_path / "results").iterdir()
    reported = json.loads((folder / "summary.json").read_text())
    assert reported["failures"] == []
    assert [each["version"] for each in reported["switches"]] == ["2", "1", "2", "1"]
    kinds = {each["what"]: each["requests"] for each in reported["requests"]}
    assert kinds["POST png"] > 0
    assert any("wrong" in kind for kind in kinds)
    with (folder / "looks.csv").open() as file:
        looks = list(csv.DictReader(file))
    assert len(looks) > 5
    assert all(float(look["resident"]) > 1e7 for look in looks)
    for image in (folder / "soak.png", committed / "soak.png"):
        assert image.read_bytes().startswith(b"\x89PNG")
    assert "](soak.png)" in (committed / "soak.md").read_text()
    assert "client: locust" in (folder / "report.md").read_text()


@pytest.mark.slow
def test_the_leaks_of_a_service_are_named(published: Published, tmp_path: Path) -> None:
    results = faulty(published[0], tmp_path, "leaks", 20.0)
    assert results.code == 1
    grown = [each.split()[0] for each in results.failures]
    assert {"RSS", "descriptors", "threads"} <= set(grown)


@pytest.mark.slow
def test_failures_under_load_are_named(published: Published, tmp_path: Path) -> None:
    results = faulty(published[0], tmp_path, "worsens", 60.0)
    reported = "\n".join(results.failures)
    assert results.code == 1
    assert results.outcome.seconds < 50
    assert re.search(r"\d+ x POST png: read \d, not \d", reported)
    assert re.search(r"\d+ x POST \w+: 500, not 200", reported)
    assert re.search(r"the service counts \d+ answers of status 5xx", reported)
    assert re.search(r"the switch to version \d at \d+ s: answered 409: .*faulty model", reported)
    assert re.search(r"the service was gone after \d+ s", reported)


@pytest.mark.slow
def test_ctrl_c_stops_everything_and_reports_the_partial_results(
    published: Published, tmp_path: Path
) -> None:
    words = ["--models", str(published[0].folder.parent), "--results", str(tmp_path / "results")]
    words += ["--minutes", "10", "--rate", "20", "--switch-every", "1", "--look-every", "0.5"]
    with interruptible(
        [sys.executable, "-m", "loadtest.soak", *words],
        cwd=ROOT,
        env=clean_environment() | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if "version 2 serves" in line:
                break
        started = [each.pid for each in processes.tree(running.pid)]
        running.send_signal(signal.SIGINT)
        printed = running.stdout.read()
    assert running.returncode == 130
    assert len(started) == 3  # the soak, the service, locust
    assert [pid for pid in started if processes.tree(pid)] == []
    assert "Not to its end: it was stopped after" in printed
    (folder,) = (tmp_path / "results").iterdir()
    assert all((folder / name).exists() for name in ("report.md", "soak.png", "summary.json"))
    assert (folder / "looks.csv").read_text().count("\n") > 1
    assert [path.name for path in tmp_path.iterdir()] == ["results"]  # the copies are removed


def test_without_a_version_nothing_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--models", str(tmp_path), "--results", str(tmp_path / "results")]) == 2
    assert "soak: no model version to measure" in capsys.readouterr().err


def test_copies_cannot_be_served_if_signatures_are_required(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DIGITSERVE_TRUSTED_KEYS", "a-key")
    assert main(["--results", str(tmp_path)]) == 2
    assert "DIGITSERVE_TRUSTED_KEYS is set" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--minutes", "0"], "--minutes: '0' is not a number from 0.05 to 10000"),
        (["--rate", "often"], "--rate: 'often' is not a number from 1 to 10000"),
        (["--think", "0.5-0.05"], "--think: '0.5-0.05' is not a number of seconds such as 0.5, or"),
        (["--versions", "1"], "--versions: invalid choice: 1"),
        (["--look-every", "5"], "--look-every: '5' is not a number from 0.1 to 4"),
        (["--plot", "soak.svg"], "--plot: soak.svg is not a .png file"),
        (
            ["--markdown", "nowhere/soak.md"],
            "nowhere/soak.md: there is no folder nowhere",
        ),
    ],
)
def test_the_error_names_an_invalid_argument(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
