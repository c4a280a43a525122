"""Request durations by model version, for the last few versions only.

    version 7 is about to serve --serves(7)--> its series begin, those of the oldest version end
    version 7 has answered      --of(route)[7]--> the series to record its duration in

A service that switches every hour must not create series without end. Prometheus keeps the history
of a series that ends; adding it to another one would look like a burst of requests. Requests that
no model answered, or a version without series, count as version "none". A replacement worker
continues the series that it finds in its slot's memory.
"""

from service.telemetry.metrics.buffered import BufferedHistogram, Distribution

KEPT = 4  # versions: one that serves, one to go back to, and the two before
NONE = "none"

Number = int | None  # of a version; None: no model answered


class VersionSeries:
    """Everything here is called on the event loop."""

    def __init__(self, histogram: BufferedHistogram) -> None:
        """`histogram` has the labels route and version."""
        self._histogram = histogram
        self._routes: dict[str, RouteSeries] = {}
        # Kept versions, the one that began to serve last at the end.
        self._kept = dict.fromkeys(
            int(version) for _, version in histogram.stored() if version != NONE
        )

    def __contains__(self, number: Number) -> bool:
        return number in self._kept

    def of(self, route: str, *, predicts: bool = False) -> "RouteSeries":
        """The histogram's series of a route, by version; where it `predicts`, from the start."""
        series = self._routes.get(route)
        if series is None:
            series = self._routes[route] = RouteSeries(self, route, predicts=predicts)
        return series

    def serves(self, number: int) -> None:
        """Have series for a version that is about to serve, in place of the oldest."""
        self._kept.pop(number, None)
        self._kept[number] = None
        while len(self._kept) > KEPT:
            self._remove(next(iter(self._kept)))
        for series in self._routes.values():
            series.begin(number)

    def kept(self) -> list[int]:
        return [*self._kept]

    def made(self, route: str, number: Number) -> Distribution:
        return self._histogram.labels(route, NONE if number is None else str(number))

    def _remove(self, number: int) -> None:
        del self._kept[number]
        for series in self._routes.values():
            series.pop(number, None)
        self._histogram.forget(lambda _, version: version == str(number))


class RouteSeries(dict[Number, Distribution]):
    """The series of one route by version: looked up with each request, made once."""

    def __init__(self, versions: VersionSeries, route: str, *, predicts: bool) -> None:
        super().__init__({None: versions.made(route, None)})
        self._versions = versions
        self._route = route
        self._predicts = predicts
        for number in versions.kept():
            self.begin(number)

    def begin(self, number: int) -> None:
        """Have a series that is 0, so that the first requests are seen as an increase."""
        if self._predicts:
            self[number]

    def __missing__(self, number: Number) -> Distribution:
        if number not in self._versions:  # it has not served recently, or was requested by number
            return self[None]
        series = self[number] = self._versions.made(self._route, number)
        return series
