"""What locust's users were told, second by second, as the recorder in each process writes it."""

import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class Told:
    failed: int = 0
    refused: int = 0
    times: Counter[float] = field(default_factory=Counter)  # seconds: how many right answers

    @classmethod
    def read(cls, line: dict[str, Any]) -> Self:
        times = Counter({float(ms) / 1e3: number for ms, number in line["ms"].items()})
        return cls(line["failed"], line["refused"], times)

    @classmethod
    def together(cls, all_told: Iterable[Self]) -> Self:
        failed = refused = 0
        times: Counter[float] = Counter()
        for told in all_told:
            failed += told.failed
            refused += told.refused
            times.update(told.times)
        return cls(failed, refused, times)

    @property
    def right(self) -> int:
        return self.times.total()

    @property
    def asked(self) -> int:
        return self.right + self.failed + self.refused

    @property
    def errors(self) -> float:
        """The share of users who asked and did not get what they asked for; refused ones too."""
        return (self.failed + self.refused) / self.asked if self.asked else 0.0

    def quantile(self, q: float) -> float:
        """The time within which a share `q` of the right answers came; 0 where there is none."""
        wanted = math.ceil(q * self.right)
        for time, number in sorted(self.times.items()):
            wanted -= number
            if wanted <= 0:
                return time
        return 0.0


@dataclass(frozen=True)
class Second:
    at: int  # since 1970
    users: int
    kinds: dict[str, Told]  # by kind of request

    @property
    def told(self) -> Told:
        return Told.together(self.kinds.values())


def by_kind(seconds: Iterable[Second]) -> dict[str, Told]:
    found: dict[str, list[Told]] = {}
    for second in seconds:
        for name, told in second.kinds.items():
            found.setdefault(name, []).append(told)
    return {name: Told.together(found[name]) for name in sorted(found)}


class Recording:
    """The files that are being written, read on from where they were read to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, int] = {}  # bytes
        self._last: dict[Path, int] = {}  # second
        self._parts: dict[int, list[Second]] = {}  # of each process

    def seconds(self, *, ended: bool = False) -> list[Second]:
        """From the first user on: those that every process has written, or all in the end."""
        for path in self._folder.glob("*.jsonl"):
            self._read_on(path)
        complete = (max if ended else min)(self._last.values(), default=0)
        seconds = [self._second(at) for at in sorted(self._parts) if at <= complete]
        first = next((place for place, each in enumerate(seconds) if each.users), len(seconds))
        return seconds[first:]

    def _read_on(self, path: Path) -> None:
        with path.open("rb") as file:
            file.seek(self._read.get(path, 0))
            for line in file:
                if not line.endswith(b"\n"):
                    break  # it is being written
                self._read[path] = self._read.get(path, 0) + len(line)
                self._add(path, json.loads(line))

    def _add(self, path: Path, line: dict[str, Any]) -> None:
        kinds = {name: Told.read(kind) for name, kind in line["kinds"].items()}
        self._last[path] = line["at"]
        self._parts.setdefault(line["at"], []).append(Second(line["at"], line["users"], kinds))

    def _second(self, at: int) -> Second:
        parts = self._parts[at]
        if len(parts) > 1:
            kinds = {
                name: Told.together(part.kinds[name] for part in parts if name in part.kinds)
                for name in {name for part in parts for name in part.kinds}
            }
            self._parts[at] = [Second(at, sum(part.users for part in parts), kinds)]
        return self._parts[at][0]
