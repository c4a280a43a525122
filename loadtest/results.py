"""All that one run of the bench found, as it goes into a file."""

import json
from dataclasses import asdict, dataclass

from loadtest.machine import Conditions
from loadtest.overload import Overload
from loadtest.remarks import remarks
from loadtest.scrape import Scrapes
from loadtest.summary import Round, ratios, rows


@dataclass(frozen=True)
class Results:
    conditions: Conditions
    rounds: list[Round]
    scrapes: list[Scrapes]  # by number of workers
    overload: Overload | None
    peers: dict[str, str]  # those that were installed, and their versions
    missing: dict[str, str]  # peers that could not be measured, and why

    @property
    def skipped(self) -> list[str]:
        """Why something was not measured, each reason once."""
        reasons = (visit.skipped for each in self.rounds for visit in each.visits)
        peers = [f"{name}: {why}" for name, why in self.missing.items()]
        return [*sorted({reason for reason in reasons if reason}), *peers]

    @property
    def remarks(self) -> list[str]:
        return remarks(rows(self.rounds))

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
            "peers": self.peers,
            "skipped": self.skipped,
            "remarks": self.remarks,
        }
        return json.dumps(told, indent=2) + "\n"
