"""What was observed while the service was under load, and how its users put it into numbers."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from loadtest.client.locust import Locust
from loadtest.soak.switch import Switch
from loadtest.target.monitor import Period

# What the users say of a wrong answer, in locust's file of failures.
SAID = re.compile(r"""CatchResponseError\((['"])(.*)\1\)""")


class End(StrEnum):
    PLANNED = "as planned"
    INTERRUPTED = "it was stopped"
    SERVICE_GONE = "the service was gone"
    LOAD_GONE = "locust ended too early"


@dataclass(frozen=True)
class Failed:
    """What users found wrong with an answer; the same wrong of the same kind counts as one."""

    what: str  # kind of request
    why: str
    times: int

    @classmethod
    def of(cls, locust: Locust) -> list[Self]:
        """Up to six seconds late, as locust writes its file."""
        return [
            cls(
                f"{row['Method']} {row['Name']}",
                SAID.sub(r"\2", row["Error"]),
                int(row["Occurrences"]),
            )
            for row in locust.rows("failures")
        ]

    @classmethod
    def mistakes_of(cls, locust: Locust) -> list[Self]:
        """Exceptions in the users' own code."""
        return [
            cls("mistake of a user", row["Message"], int(row["Count"]))
            for row in locust.rows("exceptions")
        ]


@dataclass(frozen=True)
class Kind:
    what: str  # of request, as the users call it
    requests: int
    failures: int

    @classmethod
    def of(cls, locust: Locust) -> list[Self]:
        return [
            cls(f"{each['method']} {each['name']}", each["num_requests"], each["num_failures"])
            for each in locust.requests()
        ]


@dataclass
class Seen:
    seconds: float = 0.0  # that it ran
    end: End = End.PLANNED
    periods: list[Period] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)  # why a look did not see everything
    switches: list[Switch] = field(default_factory=list)
    kinds: list[Kind] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    mistakes: list[Failed] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return sum(kind.requests for kind in self.kinds)
