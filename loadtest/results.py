"""All that one run of the bench found, as it goes into a file."""

import json
from dataclasses import asdict, dataclass

from loadtest.machine import Conditions
from loadtest.overload import Overload
from loadtest.scrape import Scrapes
from loadtest.summary import Round, ratios


@dataclass(frozen=True)
class Results:
    conditions: Conditions
    rounds: list[Round]
    scrapes: list[Scrapes]  # by number of workers
    overload: Overload | None
    peers: tuple[str, ...]

    @property
    def skipped(self) -> list[str]:
        """Why something was not measured, each reason once."""
        reasons = (visit.skipped for each in self.rounds for visit in each.visits)
        return sorted({reason for reason in reasons if reason})

    def json(self) -> str:
        spreads = ratios(self.rounds, self.peers)
        told = {
            "conditions": asdict(self.conditions),
            "rounds": [asdict(each) for each in self.rounds],
            "ratios": {name: asdict(spread) for name, spread in spreads.items()},
            "scrapes": [asdict(each) for each in self.scrapes],
            "overload": asdict(self.overload) | {"kept": self.overload.kept}
            if self.overload
            else None,
            "skipped": self.skipped,
        }
        return json.dumps(told, indent=2) + "\n"
