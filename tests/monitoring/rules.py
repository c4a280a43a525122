"""The contents of deploy/prometheus/: recording rules, alerts, and the test cases for them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.monitoring.binaries import ROOT

FOLDER = ROOT / "deploy/prometheus"
RUNBOOK = ROOT / "docs/how-to/runbook.md"
PROOFS = sorted(FOLDER.glob("*_test.yml"))
SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


class Case(NamedTuple):
    """What promtool expects of an alert at one moment."""

    story: str  # the input series
    seconds: int  # since their start
    alert: str
    fires: bool


def rules(name: str) -> list[dict[str, Any]]:
    """The rules of one file in order."""
    groups = yaml.safe_load((FOLDER / name).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


RECORDED = {rule["record"]: rule["expr"] for rule in rules("recording.yml")}
ALERTS = {rule["alert"]: rule for rule in rules("alerts.yml")}


def cases() -> Iterator[Case]:
    for path in PROOFS:
        for story in yaml.safe_load(path.read_text())["tests"]:
            for case in story["alert_rule_test"]:
                seconds = seconds_of(case["eval_time"])
                fires = bool(case.get("exp_alerts"))
                yield Case(story["name"], seconds, case["alertname"], fires)


def seconds_of(duration: str) -> int:
    """A duration as written by Prometheus, such as 1h50m."""
    return sum(int(n) * SECONDS[unit] for n, unit in re.findall(r"(\d+)([dhms])", duration))


def metrics_in(expression: str) -> set[str]:
    """Names of series that the service exposes or a rule records."""
    return set(re.findall(r"\b(?:digitserve[_:]|process_)[\w:]+", expression))


def sections(text: Path = RUNBOOK) -> dict[str, str]:
    """Anchor -> text of a Markdown file under that heading."""
    parts = re.split(r"^#+ (.+)$", text.read_text(), flags=re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-"): body
        for heading, body in zip(parts[1::2], parts[2::2], strict=True)
    }
