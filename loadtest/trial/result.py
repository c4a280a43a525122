"""All that one load test found, and what is made of it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from loadtest.machine import Conditions
from loadtest.slo import Slo
from loadtest.trial.curve import Curve
from loadtest.trial.second import Second, Told, by_kind
from loadtest.trial.step import Asking, steps
from loadtest.trial.verdict import Verdict, verdict
from loadtest.watch import Look


@dataclass(frozen=True)
class Result:
    folder: Path  # for its files
    conditions: Conditions
    shape: str
    slo: Slo
    asking: Asking
    seconds: list[Second]
    looks: list[Look]
    stopped: bool = False  # by Ctrl-C, before its time

    @cached_property
    def curve(self) -> Curve:
        return Curve(steps(self.seconds, self.looks, self.asking), self.slo)

    @cached_property
    def kinds(self) -> dict[str, Told]:
        return by_kind(self.seconds)

    @cached_property
    def verdict(self) -> Verdict:
        return verdict(self.curve, Told.together(self.kinds.values()), self.shape)
