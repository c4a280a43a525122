"""Prometheus takes the files that it is deployed with."""

import subprocess

from tests.monitoring.binaries import PROMTOOL, ROOT

FOLDER = ROOT / "deploy/prometheus"


def promtool(*words: str) -> str:
    """What it says; it must have nothing to find fault with."""
    done = subprocess.run([PROMTOOL, *words], cwd=FOLDER, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_promtool_finds_nothing_wrong_with_the_configuration_and_its_rules() -> None:
    said = promtool("check", "config", "--lint=all", "--lint-fatal", "prometheus.yml")
    assert "SUCCESS: prometheus.yml is valid" in said
