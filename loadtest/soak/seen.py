"""What was seen while the service was under load."""

from dataclasses import dataclass, field
from enum import StrEnum

from loadtest.soak.period import Period
from loadtest.soak.switch import Switch
from loadtest.soak.users import Failed, Kind


class End(StrEnum):
    PLANNED = "as planned"
    INTERRUPTED = "it was stopped"
    SERVICE_GONE = "the service was gone"
    LOAD_GONE = "locust ended too early"


@dataclass
class Seen:
    seconds: float = 0.0  # that it ran
    end: End = End.PLANNED
    periods: list[Period] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)  # looks that saw not everything, and why
    switches: list[Switch] = field(default_factory=list)
    kinds: list[Kind] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    mistakes: list[Failed] = field(default_factory=list)  # of the users themselves

    @property
    def requests(self) -> int:
        return sum(kind.requests for kind in self.kinds)
