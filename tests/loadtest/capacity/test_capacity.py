"""A minimal complete run against the real service."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from contract.store import Store
from contract.version import Version
from loadtest.capacity.__main__ import main
from loadtest.host import processes
from loadtest.host.processes import ROOT
from tests.support.program import PATIENCE, interruptible
from tests.support.running import Service, clean_environment

RULES = ROOT / "deploy/prometheus/recording.yml"
SHORT = ["--seconds", "0.4", "--warm-up", "0.1", "--from", "100", "--most", "200"]
EASY = ["--p99", "20s", "--errors", "50%"]  # on a machine with other load


@pytest.fixture(autouse=True)
def _default_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("DIGITSERVE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def models(published: tuple[Store, Version]) -> list[str]:
    return ["--models", str(published[0].folder.parent)]


@pytest.mark.slow
def test_a_run_finds_and_records_a_capacity(
    models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = tmp_path / "recording.yml"
    rules.write_text(RULES.read_text())
    files = ["--json", str(tmp_path / "c.json"), "--markdown", str(tmp_path / "c.md")]
    files += ["--rules", str(rules)]
    words = ["--repeat", "2", "--rate", "160", "--rate", "800", *SHORT, *EASY]
    assert main([*models, *words, *files]) == 0
    reported = json.loads((tmp_path / "c.json").read_text())
    assert reported["capacity"]["low"] == reported["capacity"]["high"] == 200
    assert reported["capacity"]["at_least"]
    assert [row["count"] for row in reported["replicas"]] == [3, 7]
    assert [row["cores"] for row in reported["replicas"]] == [3, 7]
    first, second = reported["searches"]
    assert first["probes"][0]["rate"] == 100
    assert len(second["probes"]) <= len(first["probes"])  # it starts near the known rate
    for probe in (*first["probes"], *second["probes"]):
        assert probe["requests"] == pytest.approx(probe["rate"] * 0.4, rel=0.6)
        assert (probe["wrong"], probe["unanswered"], probe["broken"]) == (0, 0, {})
        assert 0 < probe["p50"] <= probe["p99"] <= probe["p999"]
        assert 0 < probe["generator_cpu"] < 1
        assert probe["server"]["cpu"] > 0
        assert probe["server"]["batch"] >= 1
    assert reported["images_left_out"] > 0  # with a network trained for a second
    assert reported["conditions"]["client"] == "an open loop of Python and epoll, generators: 1"
    printed, document = capsys.readouterr().out, (tmp_path / "c.md").read_text()
    for text in (printed, document):
        assert "At least 200 requests a second on 1 core with p99 <= 20 s" in text
        for heading in ("at the highest rate that held", "stopped by", "offered, req/s"):
            assert heading in text
    assert "    200/s  p50" in printed
    assert "pinned: server on core " in document
    expected = "expr: 200 * digitserve:replicas:expected"
    assert rules.read_text() == re.sub(r"expr: \d+ \* .*", expected, RULES.read_text())


@pytest.mark.slow
def test_a_running_service_is_measured_in_place(
    models: list[str], service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--url", service.url, "--repeat", "1", "--generators", "2", "--rate", "40"]
    assert main([*models, *words, *SHORT, *EASY]) == 0
    printed = capsys.readouterr().out
    assert "the server was running: its cores are not known" in printed
    assert "At least 200 requests a second with p99" in printed
    assert "server unknown" in printed
    with service.client() as client:
        assert client.get("/readyz").status_code == 200  # it still runs


@pytest.mark.slow
def test_an_slo_that_the_generator_cannot_measure_is_an_error(
    models: list[str], service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """It sends with a delay of some microseconds, too much for such a p99."""
    words = ["--url", service.url, "--repeat", "1", "--p99", "0.1us", *SHORT]
    assert main([*models, *words]) == 1
    printed = capsys.readouterr().out
    assert "does not count: the generator was" in printed
    assert "Nothing is known of the service: the generator was the bottleneck" in printed


@pytest.mark.slow
def test_ctrl_c_stops_the_server_too(models: list[str]) -> None:
    with interruptible(
        [sys.executable, "-m", "loadtest.capacity", *models, *SHORT, *EASY, "--repeat", "100"],
        cwd=ROOT,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stdout is not None
        assert any("holds" in line for line in running.stdout)
        family = [each.pid for each in processes.tree(running.pid)]
        assert len(family) > 1
        running.send_signal(signal.SIGINT)
        assert running.wait(PATIENCE) == 130
        assert running.stderr is not None
        assert "capacity: stopped, nothing is written" in running.stderr.read()
    assert [pid for pid in family if Path(f"/proc/{pid}").exists()] == []


def test_an_unreachable_url_is_reported_in_one_sentence(
    models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert main([*models, "--url", f"http://127.0.0.1:{port}"]) == 1
    assert "nothing listens there" in capsys.readouterr().err


def test_rules_without_a_capacity_are_refused_before_the_measurement(
    models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text("groups: []\n")
    assert main([*models, "--rules", str(rules)]) == 1
    assert f"capacity: --rules {rules}: it has no rule" in capsys.readouterr().err


def test_without_a_version_nothing_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--models", str(tmp_path)]) == 1
    assert "capacity: no model version to measure" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--p99", "soon"], "such as 50ms"),
        (["--errors", "150%"], "from 0 to 1"),
        (["--repeat", "0"], "whole number of 1 or more"),
        (["--resolution", "0"], "share from 0.001 to 1"),
        (["--headroom", "100%"], "share from 0 to 0.99"),
        (["--rate", "many"], "'many' is not a number"),
        (["--from", "100", "--most", "50"], "--from 100 is above --most 50"),
        (["--url", "http://a", "--workers", "2"], "--workers is for a service"),
        (["--json", "/no/such/folder/c.json"], "there is no folder /no/such/folder"),
    ],
)
def test_an_invalid_argument_is_rejected_with_the_reason(
    words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("url", ["https://127.0.0.1:1", "127.0.0.1:8000", "http://h:port"])
def test_only_plain_http_is_supported(
    url: str, models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*models, "--url", url]) == 1
    assert f"capacity: --url {url}" in capsys.readouterr().err
