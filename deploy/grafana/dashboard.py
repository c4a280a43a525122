"""A dashboard: rows of panels one below the other, with variables, links and annotations."""

import json
from dataclasses import dataclass
from itertools import count
from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as d

from deploy.grafana.panel import SOURCE, AnyPanel
from deploy.grafana.promql import STEP, events, metric, total

RUNBOOK = "/public/runbook.txt"  # docs/runbook.md, where Grafana hands out files of its own

_SERVES = total(metric("model_info"), "instance", "version")
_SERVED = total(f"{metric('model_info')} offset {STEP}", "instance", "version")
_LATELY = total(f"last_over_time({metric('model_info')}[5m] offset {STEP})", "instance", "version")


@dataclass(frozen=True)
class Row:
    title: str
    panels: tuple[AnyPanel, ...]


def text_of(name: str, title: str, description: str, rows: tuple[Row, ...], other: str) -> str:
    """The JSON of the dashboard digitserve-<name>; `other` is the dashboard beside it."""
    built = (
        dashboard.Dashboard(title)
        .uid(f"digitserve-{name}")
        .description(description)
        .tags(["digitserve"])
        .readonly()  # the program is where to change it
        .tooltip(d.DashboardCursorSync.CROSSHAIR)  # a line at the same time in all panels
        .time("now-1h", "now")
        .refresh("30s")
        .link(
            _link(other.title(), "dashboard", f"/d/digitserve-{other}")
            .keep_time(True)
            .include_vars(True)
        )
        .link(_link("Runbook", "doc", RUNBOOK).target_blank(True))
        .with_variable(
            dashboard.DatasourceVariable("datasource")
            .label("Data source")
            .type("prometheus")
            .current(d.VariableOption(text="Prometheus", value="prometheus"))
        )
        # Every process exposes its workers, so that metric knows the jobs and instances.
        .with_variable(_variable("job", "digitserve_workers"))
        .with_variable(_variable("instance", 'digitserve_workers{job=~"$job"}'))
    )
    number = count(1)
    for row in rows:
        built.with_row(dashboard.Row(row.title).id(next(number)))
        for panel in row.panels:
            built.with_panel(panel.id(next(number)))
    # The SDK's annotations have no fields for an expression's text and tags.
    found = built.build().to_json() | {"annotations": {"list": _annotations()}}
    return json.dumps(found, indent=2, ensure_ascii=False, cls=JSONEncoder) + "\n"


def _link(title: str, icon: str, url: str) -> dashboard.DashboardLink:
    return dashboard.DashboardLink(title).type(d.DashboardLinkType.LINK).icon(icon).url(url)


def _variable(name: str, of: str) -> dashboard.QueryVariable:
    question = f"label_values({of}, {name})"
    return (
        dashboard.QueryVariable(name)
        .label(name.capitalize())
        .datasource(SOURCE)
        .query({"query": question, "refId": f"variable-{name}", "qryType": 1})
        .refresh(d.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(d.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .current(d.VariableOption(text=["All"], value=["$__all"]))
    )


def _annotations() -> list[dict[str, Any]]:
    return [
        # A version that serves and did not one step before. For an instance that was not scraped
        # one step before, what it exposed in the last minutes counts.
        _annotation(
            "Version serves",
            "blue",
            f"{_SERVES} unless ({_SERVED} or {_LATELY} unless on (instance) {_SERVED})",
            "version {{version}} serves at {{instance}}",
        ),
        _annotation(
            "Switch failed",
            "red",
            events("model_swap_total", 'result=~"failed_.*"', by="instance, result") + " > 0",
            "a switch failed at {{instance}}: {{result}}",
        ),
    ]


def _annotation(name: str, colour: str, question: str, text: str) -> dict[str, Any]:
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
