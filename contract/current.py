"""Which version is current and which ones were before: the files `current` and `history.jsonl`.

    current         4
    history.jsonl   {"at": "2026-01-02T03:04:05Z", "action": "activate", "from": 3, "to": 4}

The file `current` decides; the history, one line a switch, is written just before it. If a program
is killed between the two, the last line is of a switch that never happened, and if `current` is
written by hand, the last line does not know of it. `_settled` corrects both.

Rolling back goes one version back each time: after 1, 2, 3 to 2, then to 1, then it is refused.
This module knows versions by number only. A writer holds the store's lock; readers need none.
"""

import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contract.errors import BrokenVersion, NoVersion, StoreError
from contract.files import patiently, read_regular, replace_together

CURRENT, HISTORY = "current", "history.jsonl"
NUMBER = r"[1-9][0-9]{0,17}"  # of a version
LARGEST = 16 * 2**20  # bytes of either file; a thousand switches take 100 kB
Action = Literal["activate", "rollback"]
LONGEST = 1000  # switches that are remembered


class BadHistory(StoreError):
    """A line of the history is no switch; the message says which."""


class Switch(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True)

    at: datetime
    action: Literal["activate", "rollback", "found"]  # found: `current` was written by hand
    before: int | None = Field(
        validation_alias="from", serialization_alias="from"
    )  # None: nothing was current
    after: int = Field(validation_alias="to", serialization_alias="to")


class Current:
    """The current version of the model in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def number(self) -> int:
        """NoVersion where none is current, BrokenVersion where `current` names none."""
        path = self._folder / CURRENT
        try:
            text = _text_of(path).strip()
        except FileNotFoundError as error:
            raise NoVersion(f"{self._folder} has no current version") from error
        except OSError as error:
            raise BrokenVersion(f"{path} cannot be read: {error}") from error
        if not re.fullmatch(NUMBER, text):
            raise BrokenVersion(f"{path} must hold a version number, not {text[:80]!r}")
        return int(text)

    def history(self) -> list[Switch]:
        """Which version was made current when, oldest first."""
        path = self._folder / HISTORY
        try:
            switches = _parse(_text_of(path))
        except FileNotFoundError:
            switches = []
        except OSError as error:
            raise BadHistory(f"{path} cannot be read: {error}") from error
        except BadHistory as error:
            raise BadHistory(f"{path}: {error}; move the file away to begin a new one") from error
        try:
            current = self.number()
            since = datetime.fromtimestamp(int((self._folder / CURRENT).stat().st_mtime), UTC)
        except (NoVersion, BrokenVersion, OSError):
            return switches
        return _settled(switches, current, since)

    def last_known(self) -> int | None:
        """The current version; where `current` was removed or spoilt, what the history says."""
        with suppress(NoVersion, BrokenVersion):
            return self.number()
        switches = self.history()
        return switches[-1].after if switches else None

    def previous(self, there: Collection[int]) -> int:
        """The version, of those that are `there`, that was current before."""
        way = [number for number in _way_back(self.history()) if number in there]
        while way and way[-1] == self.last_known():  # what lay between was pruned
            way.pop()
        if not way:
            raise NoVersion(f"{self._folder} has no version that was current before this one")
        return way[-1]

    def switch(self, number: int, action: Action) -> Switch | None:
        """Make a version current and remember it; None if it is already."""
        with suppress(NoVersion, BrokenVersion):  # if it cannot be read, this mends it
            if self.number() == number:
                return None
        before = self.last_known()
        switch = Switch(at=_now(), action=action, before=before, after=number)
        text = _to_text([*self.history(), switch])
        # In this order: see above for what a kill between the two leaves.
        replace_together(
            {
                self._folder / HISTORY: text.encode(),
                self._folder / CURRENT: f"{number}\n".encode(),
            }
        )
        return switch


def _text_of(path: Path) -> str:
    """Of a file, which may be a link to it: where it lies says nothing of what is current."""
    content = patiently(lambda: read_regular(path, LARGEST, follow_links=True))
    return content.decode(errors="replace")


def _parse(text: str) -> list[Switch]:
    """The switches of history.jsonl, oldest first; BadHistory names a line that is none."""
    switches = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            switches.append(Switch.model_validate_json(line))
        except ValidationError as error:
            raise BadHistory(f"line {number} is no switch of versions: {line[:80]!r}") from error
    return switches


def _to_text(switches: Sequence[Switch]) -> str:
    lines = (switch.model_dump_json(by_alias=True) for switch in switches[-LONGEST:])
    return "".join(line + "\n" for line in lines)


def _settled(switches: Sequence[Switch], current: int | None, since: datetime) -> list[Switch]:
    """The history as it must have been for `current` to be current, which it is `since` then."""
    last = switches[-1] if switches else None
    if current is None or (last and last.after == current):
        return [*switches]
    if last and last.before == current:  # cut off before it took place, or taken back by hand
        return [*switches[:-1]]
    before = last.after if last else None
    return [*switches, Switch(at=since, action="found", before=before, after=current)]


def _way_back(switches: Sequence[Switch]) -> list[int]:
    """The versions that rolling back leads through, the next one last."""
    way: list[int] = []
    for switch in switches:
        if switch.action == "rollback":
            while way and way.pop() != switch.after:
                pass
        elif switch.before is not None:
            way.append(switch.before)
    return way


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
