"""A dashboard: rows of panels one below the other, with variables, links and marks in time.

rows ──► a title line, then panels from left to right, a new line where 24 columns are full
"""

from collections.abc import Iterator
from dataclasses import dataclass

from deploy.grafana.panel import Panel
from deploy.grafana.promql import STEP, events, metric, total
from deploy.grafana.schema import HEIGHT, SOURCE, Json, written

COLUMNS = 24
SCHEMA = 41  # of Grafana 12.1; newer ones read it too
RUNBOOK = "/public/runbook.txt"  # docs/runbook.md, where Grafana hands out files of its own

_SERVES = total(metric("model_info"), "instance", "version")
_SERVED = total(f"{metric('model_info')} offset {STEP}", "instance", "version")
_LATELY = total(f"last_over_time({metric('model_info')}[5m] offset {STEP})", "instance", "version")


@dataclass(frozen=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Dashboard:
    """`name` is its file, and digitserve-<name> its address in Grafana."""

    name: str
    title: str
    description: str
    rows: tuple[Row, ...]
    other: str  # the dashboard beside it

    def json(self) -> Json:
        return {
            "uid": f"digitserve-{self.name}",
            "title": self.title,
            "description": self.description,
            "tags": ["digitserve"],
            "schemaVersion": SCHEMA,
            "editable": False,  # the program is where to change it
            "graphTooltip": 1,  # a line at the same time in all panels
            "time": {"from": "now-1h", "to": "now"},
            "refresh": "30s",
            "timezone": "browser",
            "links": [
                _link(self.other.title(), "dashboard", f"/d/digitserve-{self.other}"),
                _link("Runbook", "doc", RUNBOOK),
            ],
            "templating": {"list": [_source(), *_variables()]},
            "annotations": {"list": [_switches(), _failed_switches()]},
            "panels": list(self._laid_out()),
        }

    def _laid_out(self) -> Iterator[Json]:
        number, y = 1, 0
        for row in self.rows:
            yield _heading(row.title, number, y)
            number, x, y, high = number + 1, 0, y + 1, 0
            for panel in row.panels:
                if x + panel.width > COLUMNS:
                    x, y, high = 0, y + high, 0
                yield written(panel, number, x, y)
                number, x, high = number + 1, x + panel.width, max(high, HEIGHT[panel.kind])
            y += high


def _heading(title: str, number: int, y: int) -> Json:
    place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
    return {
        "id": number, "type": "row", "title": title, "gridPos": place, "collapsed": False,
        "panels": [],
    }  # fmt: skip


def _link(title: str, icon: str, url: str) -> Json:
    here = icon == "dashboard"
    return {
        "type": "link", "title": title, "icon": icon, "url": url, "targetBlank": not here,
        "keepTime": here, "includeVars": here, "tooltip": "", "tags": [], "asDropdown": False,
    }  # fmt: skip


def _source() -> Json:
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {"text": "Prometheus", "value": "prometheus"},
    }


def _variables() -> Iterator[Json]:
    """Every process of ours tells its workers, so that metric knows the jobs and instances."""
    for name, of in (
        ("job", "digitserve_workers"),
        ("instance", 'digitserve_workers{job=~"$job"}'),
    ):
        question = f"label_values({of}, {name})"
        yield {
            "name": name,
            "label": name.capitalize(),
            "type": "query",
            "datasource": SOURCE,
            "definition": question,
            "query": {"query": question, "refId": f"variable-{name}", "qryType": 1},
            "refresh": 2,  # whenever another time is shown
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "current": {"text": ["All"], "value": ["$__all"]},
        }


def _switches() -> Json:
    """A version that serves and did not one step before.

    Of an instance that was not heard one step before, what it said in the last minutes counts.
    """
    return _mark(
        "Version serves",
        "blue",
        f"{_SERVES} unless ({_SERVED} or {_LATELY} unless on (instance) {_SERVED})",
        "version {{version}} serves at {{instance}}",
    )


def _failed_switches() -> Json:
    return _mark(
        "Switch failed",
        "red",
        events("model_swap_total", 'result=~"failed_.*"', by="instance, result") + " > 0",
        "a switch failed at {{instance}}: {{result}}",
    )


def _mark(name: str, colour: str, question: str, text: str) -> Json:
    return {
        "name": name,
        "datasource": SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": colour,
        "expr": question,
        "target": {"refId": "Mark", "expr": question, "range": True, "instant": False},
        "titleFormat": name,
        "textFormat": text,
        "tagKeys": "instance",
    }
