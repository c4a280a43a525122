"""The text of GET /metrics, in which only the numbers are written that are not what they were.

    Prometheus' text format 0.0.4        `Exposition(registry)`
    OpenMetrics 1.0.0, with exemplars    `OpenMetrics(registry, exemplars)`

    registry --collect--> families --numbers--> lines of the last text, some of them new --> text

What stands before a number never changes as long as the series do, and most numbers do not change
either from one scrape to the next. The library writes every family whose series are new, here and
nowhere else, and takes 1.6 ms for 300 lines, in which the event loop answers nobody; this takes 0.5
if many have changed.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from service.telemetry.metrics.buffered import Exemplars, series_key, text_of

# Otherwise each counter and histogram has a second series, with the time it was made, and below the
# others, where `_Text` would not look for it.
disable_created_metrics()  # type: ignore[no-untyped-call]

END = "# EOF\n"  # of OpenMetrics


class Exposition:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._last: dict[str, _Text] = {}  # by family

    def text(self) -> bytes:
        return "".join([text.whole for text in self._renew().values()]).encode()

    def _renew(self) -> "dict[str, _Text]":
        """Each family's text, as it is now."""
        now: dict[str, _Text] = {}
        for family in self._registry.collect():
            last = self._last.get(family.name)
            series = [(sample.name, sample.labels) for sample in family.samples]
            if last is None or last.series != series:
                now[family.name] = self._written(family)
            else:
                now[family.name] = _renewed(last, [sample.value for sample in family.samples])
        self._last = now
        return now

    def _written(self, family: Metric) -> "_Text":
        return _kept_of(family, generate_latest(_Only(family)))


class OpenMetrics(Exposition):
    """Families are named otherwise here, `_total` being part of a counter's samples alone."""

    def __init__(
        self, registry: CollectorRegistry, exemplars: Callable[[], dict[str, Exemplars]]
    ) -> None:
        """`exemplars` is called for each text; it returns those of each family."""
        super().__init__(registry)
        self._exemplars = exemplars

    def text(self) -> bytes:
        exemplars = self._exemplars()
        parts = [
            text.with_exemplars(exemplars[name]) if exemplars.get(name) else text.whole
            for name, text in self._renew().items()
        ]
        return "".join([*parts, END]).encode()

    def _written(self, family: Metric) -> "_Text":
        whole: bytes = openmetrics.generate_latest(_Only(family))  # type: ignore[no-untyped-call]
        return _kept_of(family, whole.removesuffix(END.encode()))


class _Text(NamedTuple):
    """Of one family."""

    head: str  # its first lines: what it means, what kind it is
    series: list[tuple[str, dict[str, str]]]
    values: list[float]
    names: list[str]  # what stands before each value
    lines: list[str]
    whole: str

    def with_exemplars(self, exemplars: Exemplars) -> str:
        lines = [
            f"{line[:-1]}{exemplars.get(series_key(*series), '')}\n"
            for line, series in zip(self.lines, self.series, strict=True)
        ]
        return self.head + "".join(lines)


class _Only(Collector):
    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family


def _kept_of(family: Metric, written: bytes) -> _Text:
    whole = written.decode()
    # Not splitlines: a label may hold what ends a line for Python, and not for Prometheus.
    meaning, kind, *lines = [f"{line}\n" for line in whole[:-1].split("\n")]
    return _Text(
        head=meaning + kind,
        series=[(sample.name, sample.labels) for sample in family.samples],
        values=[sample.value for sample in family.samples],
        names=[line.rpartition(" ")[0] for line in lines],
        lines=lines,
        whole=whole,
    )


def _renewed(last: _Text, values: list[float]) -> _Text:
    if values == last.values:
        return last
    lines = [
        line if value == before else f"{name} {text_of(value)}\n"
        for line, name, before, value in zip(
            last.lines, last.names, last.values, values, strict=True
        )
    ]
    return last._replace(values=values, lines=lines, whole=last.head + "".join(lines))
