"""The dashboards as they are committed: what they ask Prometheus, and how Grafana spells it."""

import json
from dataclasses import dataclass
from typing import Any

from tests.support.running import ROOT

FOLDER = ROOT / "deploy/grafana/dashboards"
NAMES = ("service", "model")


@dataclass(frozen=True)
class Question:
    dashboard: str
    panel: str
    kind: str
    legend: str
    text: str

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.panel}: {self.legend}"


def dashboard(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def panels(name: str) -> list[dict[str, Any]]:
    """All but the titles of rows."""
    return [panel for panel in dashboard(name)["panels"] if panel["type"] != "row"]


def questions() -> list[Question]:
    """Of every panel of every dashboard."""
    return [
        Question(name, panel["title"], panel["type"], target["legendFormat"], target["expr"])
        for name in NAMES
        for panel in panels(name)
        for target in panel["targets"]
    ]


def marks() -> list[Question]:
    """Of every annotation."""
    return [
        Question(name, mark["name"], "annotation", mark["textFormat"], mark["target"]["expr"])
        for name in NAMES
        for mark in dashboard(name)["annotations"]["list"]
    ]


def spelled(question: str, *, shown: float, window: float = 10, step: float = 1) -> str:
    """With a value in place of each of Grafana's variables; times are seconds."""
    for variable, value in {
        "$__rate_interval": f"{window:g}s",
        "$__interval": f"{step:g}s",
        "$__range": f"{shown:.0f}s",
        "$job": "digitserve",
        "$instance": ".*",
    }.items():
        question = question.replace(variable, value)
    assert "$" not in question, question
    return question
