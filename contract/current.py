"""Which version is current and which were before: the files `current` and `history.jsonl`, as one.

Knows no more of versions than their numbers. Who writes holds the store's lock; readers need none.
"""

import re
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from contract import history
from contract.errors import BrokenVersion, NoVersion
from contract.files import patiently, read_regular, replace_together
from contract.history import Switch

CURRENT, HISTORY = "current", "history.jsonl"
NUMBER = r"[1-9][0-9]{0,17}"  # of a version
LARGEST = 16 * 2**20  # bytes of either file; a thousand switches take 100 kB
Action = Literal["activate", "rollback"]


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
            switches = history.parse(_text_of(path))
        except FileNotFoundError:
            switches = []
        except OSError as error:
            raise history.BadHistory(f"{path} cannot be read: {error}") from error
        except history.BadHistory as error:
            raise history.BadHistory(
                f"{path}: {error}; move the file away to begin a new one"
            ) from error
        try:
            current = self.number()
            since = datetime.fromtimestamp(int((self._folder / CURRENT).stat().st_mtime), UTC)
        except (NoVersion, BrokenVersion, OSError):
            return switches
        return history.settled(switches, current, since)

    def last_known(self) -> int | None:
        """The current version; where `current` was removed or spoilt, what the history says."""
        with suppress(NoVersion, BrokenVersion):
            return self.number()
        switches = self.history()
        return switches[-1].after if switches else None

    def previous(self, there: Collection[int]) -> int:
        """The version, of those that are `there`, that was current before."""
        way = [number for number in history.way_back(self.history()) if number in there]
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
        switch = Switch(at=history.now(), action=action, before=before, after=number)
        text = history.to_text([*self.history(), switch])
        # In this order: see `history` for what a kill between the two leaves.
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
