"""Series of a histogram by the version of the model that answered, of the last few versions only.

    version 7 is about to serve --serves(7)--> its series begin, those of the oldest version go
    version 7 has answered      --of(route)[7]--> the series to count it in

A service that switches every hour must not make series without end. Prometheus keeps what a series
said, so one that no longer comes is no loss; added up into another one it would look like a burst
of requests. What answered nothing, or by a version without series, counts as version "none".

    workers     the next worker of the slot goes on with the series that it finds in its memory
"""

from service.telemetry.metrics.buffered import BufferedHistogram

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

    def made(self, route: str, number: Number) -> BufferedHistogram:
        return self._histogram.labels(route, NONE if number is None else str(number))

    def _remove(self, number: int) -> None:
        del self._kept[number]
        for series in self._routes.values():
            series.pop(number, None)
        self._histogram.forget(lambda _, version: version == str(number))


class RouteSeries(dict[Number, BufferedHistogram]):
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

    def __missing__(self, number: Number) -> BufferedHistogram:
        if number not in self._versions:  # it has not served for long, or was asked for by name
            return self[None]
        series = self[number] = self._versions.made(self._route, number)
        return series
