"""How a panel is written for Grafana 12, which reads what is left out as its defaults.

    Panel, place on the grid ──written──► JSON

The only module that knows Grafana's names of things, together with `dashboard`.
"""

from typing import Any

from deploy.grafana.panel import Kind, Panel, Target

Json = dict[str, Any]

SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}  # a variable of each dashboard
HEIGHT: dict[Kind, int] = {"timeseries": 8, "stat": 4, "heatmap": 8, "bargauge": 8}
_SCALES: dict[str, Json] = {
    "linear": {"type": "linear"},
    "log": {"type": "log", "log": 10},
    "symlog": {"type": "symlog", "log": 10, "linearThreshold": 1},
}
_LETTERS = "ABCDEFGHIJ"
_LAST = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_OPTIONS: dict[Kind, Json] = {
    "timeseries": {
        "legend": {
            "showLegend": True,
            "displayMode": "table",
            "placement": "bottom",
            "calcs": ["lastNotNull", "max"],
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {"reduceOptions": _LAST, "colorMode": "value", "graphMode": "none"},
    "bargauge": {
        "reduceOptions": _LAST,
        "orientation": "horizontal",
        "displayMode": "basic",
        "valueMode": "text",
    },
    "heatmap": {
        "calculate": False,  # the histogram has its buckets already
        "cellGap": 1,
        "cellValues": {"unit": "cps"},
        "color": {"mode": "scheme", "scheme": "Oranges", "exponent": 0.5, "steps": 64},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "tooltip": {"mode": "single", "yHistogram": True},
    },
}


def written(panel: Panel, number: int, x: int, y: int) -> Json:
    """The panel, its upper left corner at column x and line y."""
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": HEIGHT[panel.kind]},
        "targets": [
            _target(panel.kind, letter, target)
            for letter, target in zip(_LETTERS, panel.targets, strict=False)
        ],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _overrides(panel)},
        "options": _OPTIONS[panel.kind] | _own_options(panel),
    }


def _target(kind: Kind, letter: str, target: Target) -> Json:
    # What is true now, or over all that is shown, is asked once rather than along a line.
    once = kind in ("stat", "bargauge")
    return {
        "refId": letter,
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": target.question,
        "format": "heatmap" if kind == "heatmap" else "time_series",
        "legendFormat": target.legend,
        "instant": once,
        "range": not once,
    }


def _defaults(panel: Panel) -> Json:
    steps: list[Json] = [{"color": panel.limits.base, "value": None}]
    steps += [{"color": colour, "value": value} for value, colour in panel.limits.steps]
    words = {str(value): {"text": text} for value, text in panel.words.items()}
    lowest = None if panel.scale == "log" else panel.lowest
    ends = {"decimals": panel.decimals, "min": lowest, "max": panel.highest}
    return {
        "unit": panel.unit,
        **{name: value for name, value in ends.items() if value is not None},
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "thresholds": {"mode": "absolute", "steps": steps},
        "mappings": [{"type": "value", "options": words}] if words else [],
        "custom": _line(panel) if panel.kind == "timeseries" else {},
    }


def _line(panel: Panel) -> Json:
    return {
        "drawStyle": "bars" if panel.bars else "line",
        "lineWidth": 1,
        "fillOpacity": 60 if panel.bars else 10,
        "showPoints": "auto",  # a value between two gaps is a point or nothing
        "spanNulls": False,
        "scaleDistribution": _SCALES[panel.scale],
        "stacking": {"mode": panel.stacked, "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if panel.limits.steps else "off"},
    }


def _overrides(panel: Panel) -> list[Json]:
    dashed = {"fill": "dash", "dash": [10, 10]}
    lines = [
        _override("byName", target.legend, "custom.lineStyle", dashed)
        for target in panel.targets
        if target.dashed
    ]
    return lines + [
        _override("byRegexp", pattern, "color", {"mode": "fixed", "fixedColor": colour})
        for pattern, colour in panel.colours.items()
    ]


def _override(kind: str, which: str, name: str, value: Json) -> Json:
    return {
        "matcher": {"id": kind, "options": which},
        "properties": [{"id": name, "value": value}],
    }


def _own_options(panel: Panel) -> Json:
    match panel.kind:
        case "stat":
            return {"textMode": "name" if panel.by_name else "value"}
        case "heatmap":
            return {"yAxis": {"unit": panel.unit, "axisPlacement": "left"}}
        case _:
            return {}
