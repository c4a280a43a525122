"""`make up` starts what can be started: dashboards if their image can be pulled, and alerts."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.running import ROOT

# Writes its arguments to a file. A pull ends as the test wants, and Grafana has a port if it runs.
DOCKER = """#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in
  *" pull "*) exit "$PULL" ;;
  *"port grafana 3000") exit "$PULL" ;;
  *"port service 8000" | *"port balancer 8000") echo 127.0.0.1:8000 ;;
esac
"""


def make_up(folder: Path, *words: str, pull: int) -> tuple[list[str], str]:
    """The calls of Docker, and what is printed; `pull` is the exit code of a pull."""
    docker, calls = folder / "docker", folder / "calls"
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    done = subprocess.run(
        ["make", "up", *words],
        cwd=ROOT,
        env=os.environ | {"PATH": path, "CALLS": str(calls), "PULL": str(pull)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return calls.read_text().splitlines(), done.stdout


@pytest.mark.parametrize(
    ("pull", "start", "reported"),
    [
        (0, "compose --profile dashboards up --detach", False),
        (1, "compose up --detach", True),
    ],
    ids=["pulled", "not pulled"],
)
def test_dashboards_are_started_if_their_image_can_be_pulled(
    tmp_path: Path, pull: int, start: str, reported: bool
) -> None:
    calls, printed = make_up(tmp_path, pull=pull)
    assert [call for call in calls if call.endswith("up --detach")] == [start]
    assert ("The image of Grafana could not be pulled" in printed) is reported
    assert "Service on http://127.0.0.1:8000" in printed


def test_several_replicas_keep_the_alertmanager(tmp_path: Path) -> None:
    words = ("REPLICAS=3", "ALERT_RECEIVERS=./receivers.yml")
    calls, _ = make_up(tmp_path, *words, pull=1)
    (start,) = (call for call in calls if call.endswith("up --detach"))
    assert "--file docker-compose.alerts.yml --file docker-compose.scale.yml" in start
