"""What the service did and held during a soak, period by period."""

from collections.abc import Iterator

from loadtest.target.monitor import Look, Period


class Periods:
    """Takes looks in as they come, and keeps of them what is small."""

    def __init__(self) -> None:
        self.seen: list[Period] = []
        self.lost: list[str] = []  # why a look did not see everything, for each of them
        self.gone = False  # the service is no longer there
        self._before: Look | None = None

    def take(self, looks: list[Look]) -> None:
        """The looks are taken out of the list, which another thread may be adding to."""
        for look in _emptied(looks):
            # A zombie is there, and holds nothing.
            self.gone = look.service is None or not look.service.resident
            if look.metrics is None or look.service is None:
                self.lost.append(look.lost)
                continue
            if self._before and (period := Period.between(self._before, look)):
                self.seen.append(period)
            self._before = look


def _emptied(looks: list[Look]) -> Iterator[Look]:
    while looks:
        yield looks.pop(0)
