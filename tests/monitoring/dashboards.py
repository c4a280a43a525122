"""The queries of the committed dashboards, with Grafana's variables replaced."""

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
    """All panels except for the titles of rows."""
    return [panel for panel in dashboard(name)["panels"] if panel["type"] != "row"]


def questions() -> list[Question]:
    """The queries of all panels of all dashboards."""
    return [
        Question(name, panel["title"], panel["type"], target["legendFormat"], target["expr"])
        for name in NAMES
        for panel in panels(name)
        for target in panel["targets"]
    ]


def marks() -> list[Question]:
    """The queries of all annotations."""
    return [
        Question(name, mark["name"], "annotation", mark["textFormat"], mark["target"]["expr"])
        for name in NAMES
        for mark in dashboard(name)["annotations"]["list"]
    ]


def spelled(question: str, *, shown: float, window: float = 10, step: float = 1) -> str:
    """A query with values in place of Grafana's variables; times are in seconds."""
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
