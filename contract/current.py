"""The current version and its predecessors: the files `current` and `history.jsonl`.

    current         4
    history.jsonl   {"at": "2026-01-02T03:04:05Z", "action": "activate", "from": 3, "to": 4}

The file `current` decides. The history has one line for each switch, written just before `current`.
If a program is killed between the two writes, the last line describes a switch that never happened;
if somebody edits `current`, the history lacks that switch. `_reconciled` corrects both.

Each rollback goes one version back: after 1, 2 and 3 to 2, then to 1; the next one is refused.
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
NUMBER = r"[1-9][0-9]{0,17}"  # number of a version
LARGEST = 16 * 2**20  # bytes of either file; a thousand switches take 100 kB
Action = Literal["activate", "rollback"]
LONGEST = 1000  # switches that the history keeps


class BadHistory(StoreError):
    """A line of the history is not a switch; the message names the line."""


class Switch(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True)

    at: datetime
    action: Literal["activate", "rollback", "found"]  # found: `current` was edited by hand
    before: int | None = Field(
        validation_alias="from", serialization_alias="from"
    )  # None: nothing was current
    after: int = Field(validation_alias="to", serialization_alias="to")


class Current:
    """The current version of the model in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._place = str(folder)  # in messages

    def number(self) -> int:
        """Raises NoVersion if no version is current, BrokenVersion if `current` holds no number."""
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
        """The switches, oldest first."""
        path = self._folder / HISTORY
        try:
            lines = _text_of(path).splitlines()
        except FileNotFoundError:
            lines = []
        except OSError as error:
            raise BadHistory(f"{path} cannot be read: {error}") from error
        switches = []
        for number, line in enumerate(lines, 1):
            try:
                switches.append(Switch.model_validate_json(line))
            except ValidationError as error:
                raise BadHistory(
                    f"{path}: line {number} is not a switch of versions: {line[:80]!r}; move the "
                    "file away to start a new one"
                ) from error
        try:
            current = self.number()
            since = datetime.fromtimestamp(int((self._folder / CURRENT).stat().st_mtime), UTC)
        except (NoVersion, BrokenVersion, OSError):
            return switches
        return _reconciled(switches, current, since)

    def last_known(self) -> int | None:
        """The current version, from the history if `current` is missing or damaged."""
        with suppress(NoVersion, BrokenVersion):
            return self.number()
        switches = self.history()
        return switches[-1].after if switches else None

    def previous(self, there: Collection[int]) -> int:
        """The version that was current before, among the versions that are `there`."""
        if earlier := self.earlier(there):
            return earlier[0]
        raise NoVersion(f"{self._place} has no version that was current before this one")

    def earlier(self, there: Collection[int]) -> list[int]:
        """The versions that repeated rollbacks lead to, the next one first, of those `there`."""
        path = [number for number in _rollback_path(self.history()) if number in there]
        while path and path[-1] == self.last_known():  # the versions between were pruned
            path.pop()
        return path[::-1]

    def switch(self, number: int, action: Action) -> Switch | None:
        """Make a version current and record it; None if it is current already."""
        with suppress(NoVersion, BrokenVersion):  # an unreadable file is replaced below
            if self.number() == number:
                return None
        now = datetime.now(UTC).replace(microsecond=0)
        switch = Switch(at=now, action=action, before=self.last_known(), after=number)
        switches = [*self.history(), switch][-LONGEST:]
        lines = "".join(each.model_dump_json(by_alias=True) + "\n" for each in switches)
        replace_together(  # in this order: see above
            {
                self._folder / HISTORY: lines.encode(),
                self._folder / CURRENT: f"{number}\n".encode(),
            }
        )
        return switch


def _text_of(path: Path) -> str:
    """The text of a file, which may be a symbolic link: its location does not matter."""
    content = patiently(lambda: read_regular(path, LARGEST, follow_links=True))
    return content.decode(errors="replace")


def _reconciled(switches: Sequence[Switch], current: int, since: datetime) -> list[Switch]:
    """The history that agrees with `current`, which has been the current version since `since`."""
    last = switches[-1] if switches else None
    if last and last.after == current:
        return [*switches]
    if last and last.before == current:  # it did not take place, or was undone by hand
        return [*switches[:-1]]
    before = last.after if last else None
    return [*switches, Switch(at=since, action="found", before=before, after=current)]


def _rollback_path(switches: Sequence[Switch]) -> list[int]:
    """The versions that repeated rollbacks lead to, the next one last."""
    path: list[int] = []
    for switch in switches:
        if switch.action == "rollback":
            while path and path.pop() != switch.after:
                pass
        elif switch.before is not None:
            path.append(switch.before)
    return path
