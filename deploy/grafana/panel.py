"""The panels of the dashboards: Grafana's builders with the defaults that all panels share.

Each function returns a builder of the Grafana Foundation SDK, so that a row can add the options
that only its panel needs: `timeseries(...).max(1).stacking(STACKED)`.
"""

from typing import Literal, TypeVar

from grafana_foundation_sdk.builders import common, dashboard
from grafana_foundation_sdk.builders.bargauge import Panel as BarGauge
from grafana_foundation_sdk.builders.heatmap import (
    CellValues,
    HeatmapColorOptions,
    RowsHeatmapOptions,
    YAxisConfig,
)
from grafana_foundation_sdk.builders.heatmap import Panel as HeatMap
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.models import common as c
from grafana_foundation_sdk.models import dashboard as d
from grafana_foundation_sdk.models import heatmap as h
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

# Names that Grafana knows; cps is "counts per second", percentunit a fraction shown as per cent.
Unit = Literal[
    "none", "short", "s", "percentunit", "reqps", "cps", "bytes", "watt", "celsius",
    "dateTimeFromNow",
]  # fmt: skip
AnyPanel = TimeSeries | Stat | HeatMap | BarGauge | Table
_Panel = TypeVar("_Panel", TimeSeries, Stat, HeatMap, BarGauge, Table)

SOURCE = c.DataSourceRef(type_val="prometheus", uid="${datasource}")  # a variable of each dashboard
GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"

STACKED = common.StackingConfig().mode(c.StackingMode.NORMAL).group("A")
LOG = common.ScaleDistributionConfig().type(c.ScaleDistribution.LOG).log(10)
SYMLOG = (  # logarithmic, with a zero
    common.ScaleDistributionConfig().type(c.ScaleDistribution.SYMLOG).log(10).linear_threshold(1)
)
DASHED = [d.DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [10, 10]})]


def fixed(colour: str) -> list[d.DynamicConfigValue]:
    return [d.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})]


def limits(base: str, *steps: tuple[float, str]) -> list[d.Threshold]:
    """Colours by value: `base` first, then the colour of each step from its value upwards."""
    return [d.Threshold(None, base), *(d.Threshold(value, colour) for value, colour in steps)]


NEUTRAL = limits(BLUE)  # for values of which more is neither good nor bad
ZERO_EXPECTED = limits(GREEN, (1e-9, RED))


def bad_from(warning: float, bad: float) -> list[d.Threshold]:
    return limits(GREEN, (warning, YELLOW), (bad, RED))


def bad_below(objective: float) -> list[d.Threshold]:
    return limits(RED, (objective, GREEN))


def query(expression: str, legend: str) -> Dataquery:
    """A PromQL expression and its legend, in which {{label}} stands for the label's value."""
    return (
        Dataquery()
        .expr(expression)
        .legend_format(legend)
        .datasource(SOURCE)
        .editor_mode(QueryEditorMode.CODE)
        .format(PromQueryFormat.TIME_SERIES)
        .range()
    )


def timeseries(
    title: str,
    description: str,
    *queries: Dataquery,
    unit: Unit,
    width: int = 12,
    thresholds: list[d.Threshold] = NEUTRAL,
    lowest: float | None = 0,
) -> TimeSeries:
    """`lowest` is where the axis begins; None lets Grafana fit it to the data."""
    panel = _described(TimeSeries(), title, description, queries, unit, width, thresholds)
    if lowest is not None:
        panel.min(lowest)
    shown = c.GraphThresholdsStyleMode.DASHED if thresholds[1:] else c.GraphThresholdsStyleMode.OFF
    return (
        panel.color_scheme(dashboard.FieldColor().mode(d.FieldColorModeId.PALETTE_CLASSIC))
        .draw_style(c.GraphDrawStyle.LINE)
        .fill_opacity(10)
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(shown))
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(c.LegendDisplayMode.TABLE)
            .placement(c.LegendPlacement.BOTTOM)
            .calcs(["lastNotNull", "max"])
        )
        .tooltip(
            common.VizTooltipOptions().mode(c.TooltipDisplayMode.MULTI).sort(c.SortOrder.DESCENDING)
        )
    )


def bars(panel: TimeSeries) -> TimeSeries:
    return panel.draw_style(c.GraphDrawStyle.BARS).fill_opacity(60)


def stat(
    title: str,
    description: str,
    of: Dataquery,
    *,
    unit: Unit,
    width: int,
    thresholds: list[d.Threshold] = NEUTRAL,
) -> Stat:
    panel = _described(Stat(), title, description, (of.instant(),), unit, width, thresholds)
    return (
        panel.min(0)
        .height(4)
        .reduce_options(_last())
        .graph_mode(c.BigValueGraphMode.NONE)
        .text_mode(c.BigValueTextMode.VALUE)
    )


def heatmap(title: str, description: str, buckets: str, *, unit: Unit, width: int = 12) -> HeatMap:
    """The distribution over time; `buckets` are the rates of a histogram's buckets by `le`."""
    of = query(buckets, "{{le}}").format(PromQueryFormat.HEATMAP)
    panel = _described(HeatMap(), title, description, (of,), unit, width, NEUTRAL)
    return (
        panel.min(0)
        .color(
            HeatmapColorOptions()
            .mode(h.HeatmapColorMode.SCHEME)
            .scheme("Oranges")
            .scale(h.HeatmapColorScale.EXPONENTIAL)
            .exponent(0.5)
            .steps(64)
            .fill("dark-orange")
            .reverse(False)
        )
        .cell_values(CellValues().unit("cps"))
        .rows_frame(RowsHeatmapOptions().layout(c.HeatmapCellLayout.AUTO))
        .show_y_histogram()
        .y_axis(YAxisConfig().unit(unit).axis_placement(c.AxisPlacement.LEFT).reverse(False))
    )


def bargauge(
    title: str, description: str, *queries: Dataquery, unit: Unit, width: int = 12
) -> BarGauge:
    at_end = tuple(each.instant() for each in queries)
    panel = _described(BarGauge(), title, description, at_end, unit, width, NEUTRAL)
    return (
        panel.min(0)
        .reduce_options(_last())
        .orientation(c.VizOrientation.HORIZONTAL)
        .display_mode(c.BarGaugeDisplayMode.BASIC)
        .value_mode(c.BarGaugeValueMode.TEXT)
    )


def alert_table(title: str, description: str, of: Dataquery) -> Table:
    """A line for each alert; the value of its series is since when, in milliseconds since 1970."""
    at_end = of.instant().format(PromQueryFormat.TABLE)
    panel = _described(Table(), title, description, (at_end,), "dateTimeFromNow", 24, NEUTRAL)
    columns = {
        "severity": "Severity",
        "alertname": "Alert",
        "instance": "Instance",
        "Value": "Since",
    }
    options = {
        "excludeByName": {"Time": True, "job": True},
        "indexByName": {name: place for place, name in enumerate(columns)},
        "renameByName": columns,
    }
    return (
        panel.height(6)
        .no_value("No alert fires")
        .with_transformation(d.DataTransformerConfig(id_val="organize", options=options))
    )


def _described(
    panel: _Panel,
    title: str,
    description: str,
    queries: tuple[Dataquery, ...],
    unit: Unit,
    width: int,
    thresholds: list[d.Threshold],
) -> _Panel:
    return (
        panel.title(title)
        .description(description)
        .datasource(SOURCE)
        .targets([each.ref_id(letter) for letter, each in zip("ABCDEFGHIJ", queries, strict=False)])
        .unit(unit)
        .mappings([])
        .color_scheme(dashboard.FieldColor().mode(d.FieldColorModeId.THRESHOLDS))
        .thresholds(dashboard.ThresholdsConfig().mode(d.ThresholdsMode.ABSOLUTE).steps(thresholds))
        .height(8)
        .span(width)
    )


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"])
