"""Series of a histogram by the version of the model that answered, of the last few versions only.

    version 7 is about to serve --serves(7)--> its series begin, those of the oldest version go
    version 7 has answered      --of(route)[7]--> the series to count it in

A service that switches every hour must not make series without end. Prometheus keeps what a series
said, so one that no longer comes is no loss; added up into another one it would look like a burst
of requests. What answered nothing, or by a version without series, counts as version "none".

    workers     each version has a file of its own in the folder they share:
                histogram_<slot>-<ns since 1970>-<version>.db
                which is removed with its series; the next worker of the slot goes on with it
"""

import time
from pathlib import Path
from typing import Any

from prometheus_client import values

from service.noted import NotedHistogram

KEPT = 4  # versions: one that serves, one to go back to, and the two before
NONE = "none"

Number = int | None  # of a version; None: no model answered


class VersionSeries:
    """Everything here is called on the event loop."""

    def __init__(self, histogram: NotedHistogram, slot: int | None, folder: Path | None) -> None:
        """`histogram` has the labels route and version; `folder` is None if one process serves."""
        self.histogram = histogram
        self._slot = slot
        self._folder = folder
        self._routes: dict[str, RouteSeries] = {}
        # Kept versions, the one that began to serve last at the end, and what makes their numbers.
        self._kept: dict[int, Any] = {}
        if folder is not None:
            for path in sorted(folder.glob(f"histogram_{slot}-*.db")):
                self._kept[int(path.stem.rpartition("-")[2])] = None

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
        self._kept[number] = self._kept.pop(number, None)
        while len(self._kept) > KEPT:
            self._remove(next(iter(self._kept)))
        for series in self._routes.values():
            series.begin(number)

    def kept(self) -> list[int]:
        return [*self._kept]

    def made(self, route: str, number: Number) -> NotedHistogram:
        """A series, from the file of its version."""
        if number is None:
            return self.histogram.labels(route, NONE)
        usual = values.ValueClass
        # The library asks this global for each number. Nothing else makes a series meanwhile:
        # other threads only add to those that there are.
        values.ValueClass = self._kept[number] or self._class_of(number)
        try:
            return self.histogram.labels(route, str(number))
        finally:
            values.ValueClass = usual

    def _class_of(self, number: int) -> Any:
        """What makes the numbers of a version that has none yet in this process."""
        if self._folder is None:
            made: Any = values.MutexValue
        else:
            found = next(self._folder.glob(f"histogram_{self._slot}-*-{number}.db"), None)
            name = f"{self._slot}-{time.time_ns()}-{number}"
            if found is not None:
                name = found.stem.removeprefix("histogram_")
            made = values.MultiProcessValue(lambda: name)  # type: ignore[no-untyped-call]
        self._kept[number] = made
        return made

    def _remove(self, number: int) -> None:
        made = self._kept.pop(number)
        for route, series in self._routes.items():
            series.pop(number, None)
            self.histogram.forget(route, str(number))
        if self._folder is not None:
            if made is not None:
                made.close_all_files()
            for path in self._folder.glob(f"histogram_{self._slot}-*-{number}.db"):
                path.unlink(missing_ok=True)


class RouteSeries(dict[Number, NotedHistogram]):
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

    def __missing__(self, number: Number) -> NotedHistogram:
        if number not in self._versions:  # it has not served for long, or was asked for by name
            return self[None]
        series = self[number] = self._versions.made(self._route, number)
        return series
