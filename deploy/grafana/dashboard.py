"""A dashboard: rows of panels one below the other, with variables, links and annotations."""

import json
from itertools import count
from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as d

from deploy.grafana.panel import SOURCE, AnyPanel
from deploy.grafana.promql import STEP, events, metric, total

RUNBOOK = "/public/runbook.txt"  # docs/how-to/runbook.md, as a static file of Grafana

Rows = dict[str, tuple[AnyPanel, ...]]  # by title, from top to bottom

_SERVES = total(metric("model_info"), "instance", "version")
_SERVED = total(f"{metric('model_info')} offset {STEP}", "instance", "version")
_LATELY = total(f"last_over_time({metric('model_info')}[5m] offset {STEP})", "instance", "version")


def text_of(name: str, title: str, description: str, rows: Rows, other: str) -> str:
    """The JSON of the dashboard digitserve-<name>, with a link to the dashboard `other`."""
    built = (
        dashboard.Dashboard(title)
        .uid(f"digitserve-{name}")
        .description(description)
        .tags(["digitserve"])
        .readonly()  # changes belong in the program
        .tooltip(d.DashboardCursorSync.CROSSHAIR)  # marks the same time in all panels
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
        # Every process exposes this metric, so it has all jobs and instances as labels.
        .with_variable(_variable("job", "Job", "digitserve_workers"))
        .with_variable(_variable("instance", "Replica", 'digitserve_workers{job=~"$job"}'))
    )
    number = count(1)
    for row, panels in rows.items():
        built.with_row(dashboard.Row(row).id(next(number)))
        for panel in panels:
            built.with_panel(panel.id(next(number)))
    # The SDK's annotations have no fields for the text and the tags of an expression.
    content = built.build().to_json() | {"annotations": {"list": _annotations()}}
    return json.dumps(content, indent=2, ensure_ascii=False, cls=JSONEncoder) + "\n"


def _link(title: str, icon: str, url: str) -> dashboard.DashboardLink:
    return dashboard.DashboardLink(title).type(d.DashboardLinkType.LINK).icon(icon).url(url)


def _variable(name: str, label: str, of: str) -> dashboard.QueryVariable:
    expression = f"label_values({of}, {name})"
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query({"query": expression, "refId": f"variable-{name}", "qryType": 1})
        .refresh(d.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(d.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .current(d.VariableOption(text=["All"], value=["$__all"]))
    )


def _annotations() -> list[dict[str, Any]]:
    return [
        # A version that serves now and did not one step before. Where an instance was not scraped
        # at that time, the last value of the preceding minutes counts.
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


def _annotation(name: str, colour: str, expression: str, text: str) -> dict[str, Any]:
    return {
        "name": name,
        "datasource": SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": colour,
        "expr": expression,
        "target": {"refId": "Mark", "expr": expression, "range": True, "instant": False},
        "titleFormat": name,
        "textFormat": text,
        "tagKeys": "instance",
    }
