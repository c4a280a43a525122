"""What a soak is to do, and what was seen while it did."""

from dataclasses import dataclass, field
from enum import StrEnum

from loadtest.machine import Cores
from loadtest.soak.period import Period
from loadtest.soak.switch import Switch
from loadtest.soak.users import Failed, Kind, Think


@dataclass(frozen=True)
class Plan:
    seconds: float
    rate: float  # requests a second that are aimed at
    think: Think
    switch_every: float  # seconds
    versions: int  # that are switched between
    look_every: float  # seconds
    warm_up: float  # seconds that are not judged
    model: str
    cores: Cores

    @property
    def users(self) -> int:
        return self.think.users(self.rate)

    @property
    def block(self) -> float:
        """Seconds of a block: as long as two switches, so that one is like the other."""
        return 2 * self.switch_every


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
