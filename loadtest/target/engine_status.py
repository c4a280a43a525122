"""What every worker of the service reports that it runs on: nothing else may be measured."""

import contextlib
import json
from dataclasses import dataclass
from typing import Any, Self

from loadtest.client.asyncio_client import LOST
from loadtest.client.requests import STATUS, get
from loadtest.errors import CannotMeasure
from loadtest.target.server import Running

TRIES = 50  # connections a worker; the kernel deals them out by chance


@dataclass(frozen=True)
class Runs:
    """The same in every worker."""

    provider: str
    precision: str
    way: str

    @classmethod
    def of(cls, status: dict[str, Any]) -> Self:
        engine = status["engine"]
        return cls(status["provider"], engine["precision"], engine["way"])

    def __str__(self) -> str:
        return f"{self.provider}, {self.precision}, {self.way}"


def proven(running: Running, provider: str, workers: int) -> Runs:
    """What it runs; CannotMeasure if one worker runs on something else or has fallen back."""
    statuses: dict[int, dict[str, Any]] = {}
    for _ in range(TRIES * workers):
        with contextlib.suppress(*LOST):  # one of them is being replaced
            status = json.loads(running.ask(get(STATUS)).body)
            statuses[status["worker"]] = status
        if len(statuses) == workers:
            break
    else:
        raise CannotMeasure(f"only {len(statuses)} of {workers} workers reported what they run on")
    wrong = sorted({reason for status in statuses.values() for reason in reasons(status, provider)})
    if wrong:
        raise CannotMeasure(f"the service does not run as it was configured: {'; '.join(wrong)}")
    runs = {Runs.of(status) for status in statuses.values()}
    if len(runs) > 1:
        raise CannotMeasure(f"the workers differ: {'; '.join(sorted(map(str, runs)))}")
    return runs.pop()


def reasons(status: dict[str, Any], provider: str) -> list[str]:
    """Why a status is not that of a service on this provider; none if it is."""
    found = [
        f"{each['what']} fell back: {each['reason']}" for each in status["engine"]["fallbacks"]
    ]
    if status["provider"] != provider:
        found.insert(0, f"{status['provider']} serves and not {provider}")
    elif status["provider_fallback"] and not found:
        found.append("provider_fallback is true, and no reason is given")
    return found
