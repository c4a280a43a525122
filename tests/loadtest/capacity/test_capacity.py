"""The whole program, as short as it can be, against the real service."""

import json
import os
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

SHORT = ["--seconds", "0.4", "--warm-up", "0.1", "--from", "100", "--most", "200"]
EASY = ["--p99", "20s", "--errors", "50%"]  # whatever else the machine does meanwhile


@pytest.fixture(autouse=True)
def _default_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("DIGITSERVE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def models(published: tuple[Store, Version]) -> list[str]:
    return ["--models", str(published[0].folder.parent)]


@pytest.mark.slow
def test_one_run_finds_what_it_may_and_writes_it_down(
    models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--json", str(tmp_path / "c.json"), "--markdown", str(tmp_path / "c.md")]
    words = ["--repeat", "2", "--rate", "160", "--rate", "800", *SHORT, *EASY]
    assert main([*models, *words, *files]) == 0
    reported = json.loads((tmp_path / "c.json").read_text())
    assert reported["capacity"]["low"] == reported["capacity"]["high"] == 200
    assert reported["capacity"]["at_least"]
    assert [row["count"] for row in reported["replicas"]] == [3, 7]
    assert [row["cores"] for row in reported["replicas"]] == [3, 7]
    first, second = reported["searches"]
    assert first["probes"][0]["rate"] == 100
    assert len(second["probes"]) <= len(first["probes"])  # it begins near what is known
    for probe in (*first["probes"], *second["probes"]):
        assert probe["requests"] == pytest.approx(probe["rate"] * 0.4, rel=0.6)
        assert (probe["wrong"], probe["unanswered"], probe["broken"]) == (0, 0, {})
        assert 0 < probe["p50"] <= probe["p99"] <= probe["p999"]
        assert 0 < probe["generator_cpu"] < 1
        assert probe["server"]["cpu"] > 0
        assert probe["server"]["batch"] >= 1
    assert reported["pictures_left_out"] > 0  # by a network that was trained for a second
    assert reported["conditions"]["client"] == "an open loop of Python and epoll, generators: 1"
    printed, document = capsys.readouterr().out, (tmp_path / "c.md").read_text()
    for text in (printed, document):
        assert "At least 200 requests a second on 1 core with p99 <= 20 s" in text
        for heading in ("at the highest rate that held", "stopped by", "offered, req/s"):
            assert heading in text
    assert "    200/s  p50" in printed
    assert "pinned: server on core " in document


@pytest.mark.slow
def test_a_service_that_runs_is_measured_where_it_is(
    models: list[str], service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--url", service.url, "--repeat", "1", "--generators", "2", "--rate", "40"]
    assert main([*models, *words, *SHORT, *EASY]) == 0
    printed = capsys.readouterr().out
    assert "the server was running: its cores are not known" in printed
    assert "At least 200 requests a second with p99" in printed
    assert "server unknown" in printed
    with service.client() as client:
        assert client.get("/readyz").status_code == 200  # it is not ended


@pytest.mark.slow
def test_a_promise_that_the_generator_cannot_judge_is_no_measurement(
    models: list[str], service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """It sends a few microseconds late: too much where the promise is one."""
    words = ["--url", service.url, "--repeat", "1", "--p99", "0.1us", *SHORT]
    assert main([*models, *words]) == 1
    printed = capsys.readouterr().out
    assert "does not count: the generator was" in printed
    assert "Nothing is known of the service: the generator was the bottleneck" in printed


@pytest.mark.slow
def test_ctrl_c_ends_the_server_too(models: list[str]) -> None:
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


def test_where_nobody_listens_one_sentence_says_so(
    models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert main([*models, "--url", f"http://127.0.0.1:{port}"]) == 1
    assert "nothing listens there" in capsys.readouterr().err


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
def test_what_cannot_be_asked_for_is_refused_with_the_reason(
    words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("url", ["https://127.0.0.1:1", "127.0.0.1:8000", "http://h:port"])
def test_only_plain_http_can_be_asked(
    url: str, models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*models, "--url", url]) == 1
    assert f"capacity: --url {url}" in capsys.readouterr().err
