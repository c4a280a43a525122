"""The current version and its history in a bucket, where nothing can be locked.

    current                                                4
    history/000000012-activate-3-4-2026-01-02T03-04-05Z    an object for each switch

`current` is replaced only if it is still the object that was read before: of two programs that
switch at the same time one succeeds, and the other one reads again. The entry of the history is
created just before. Its name holds all of it, so one listing reads the history. An entry that no
later one continues, and that `current` does not confirm, is of a switch that did not take place.
"""

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import NamedTuple

from contract.bucket import Bucket, Revision
from contract.current import CURRENT, LONGEST, NUMBER, Action, Current, Switch
from contract.errors import BrokenVersion, MissingObject, Moved, NoVersion

LARGEST = 100  # bytes of `current`
_TIME = "%Y-%m-%dT%H-%M-%SZ"
_ENTRY = re.compile(r"(\d{9})-(activate|rollback|found)-(\d+)-([1-9]\d*)-([\dTZ-]+)")


class State(NamedTuple):
    """What `current` holds."""

    number: int | None  # None: there is no such object, or it holds no number
    revision: Revision | None  # None: there is no such object


class RemoteCurrent(Current):
    """The current version of the model `name` in a bucket."""

    def __init__(self, bucket: Bucket, place: str, name: str) -> None:
        self._bucket, self._place = bucket, place
        self._key, self._history = f"{name}/{CURRENT}", f"{name}/history"
        self._polling = threading.Lock()
        self._polled: tuple[Revision, int] | None = None  # what was read last

    def number(self) -> int:
        """Raises NoVersion if no version is current, BrokenVersion if `current` holds no number.

        It costs one request, and no permission but to read objects.
        """
        with self._polling:
            known = self._polled[0] if self._polled else None
            try:
                found = self._bucket.get_if_changed(self._key, LARGEST, known)
            except MissingObject as error:
                self._polled = None
                raise NoVersion(f"{self._place} has no current version") from error
            if found is not None:
                self._polled = None
                self._polled = found.revision, self._number_in(found.content)
            assert self._polled is not None, "only what is known is unchanged"
            return self._polled[1]

    def history(self) -> list[Switch]:
        """The switches, oldest first."""
        return _history(self._entries(), self.state())

    def state(self) -> State:
        """What `current` holds now."""
        try:
            found = self._bucket.get(self._key, LARGEST)
        except MissingObject:
            return State(None, None)
        try:
            return State(self._number_in(found.content), found.revision)
        except BrokenVersion:  # a switch replaces it
            return State(None, found.revision)

    def replace(self, state: State, number: int, action: Action) -> Switch | None:
        """Make a version current in place of `state`; None if it is current already.

        Raises Moved if `current` was replaced meanwhile.
        """
        if state.number == number:
            return None
        entries = self._entries()
        switches = _history(entries, state)
        before = switches[-1].after if switches else state.number
        now = datetime.now(UTC).replace(microsecond=0)
        switch = Switch(at=now, action=action, before=before, after=number)
        new = [switch]
        if switches and switches[-1].action == "found" and switches[-1] not in _values(entries):
            new.insert(0, switches[-1])
        last = entries[-1][0] if entries else 0
        for sequence, each in enumerate(new, last + 1):
            self._bucket.create(_name(self._history, sequence, each), b"")
        if not self._replaced(state, number):
            raise Moved(f"{self._place}: the current version has just been replaced by another one")
        names = [_name(self._history, *entry) for entry in entries]
        self._bucket.delete(names[: max(0, len(names) + len(new) - LONGEST)])
        return switch

    def _replaced(self, state: State, number: int) -> bool:
        content = f"{number}\n".encode()
        if state.revision is None:
            done = self._bucket.create(self._key, content)
        else:
            done = self._bucket.replace(self._key, content, state.revision)
        # A request that was repeated may have failed on its own success.
        return done or self.state().number == number

    def _number_in(self, content: bytes) -> int:
        text = content.decode(errors="replace").strip()
        if not re.fullmatch(NUMBER, text):
            raise BrokenVersion(
                f"{self._place}/{CURRENT} must hold a version number, not {text[:80]!r}"
            )
        return int(text)

    def _entries(self) -> list[tuple[int, Switch]]:
        """Sequence number and switch of each entry, oldest first."""
        names = (key.rpartition("/")[2] for key, _ in self._bucket.keys(self._history))
        return [entry for name in names if (entry := _entry(name))]


def _values(entries: Iterable[tuple[int, Switch]]) -> Iterator[Switch]:
    return (switch for _, switch in entries)


def _entry(name: str) -> tuple[int, Switch] | None:
    """None: it is an object that somebody else has put there."""
    found = _ENTRY.fullmatch(name)
    if not found:
        return None
    sequence, action, before, after, text = found.groups()
    try:
        at = datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
    facts = {"at": at, "action": action, "from": int(before) or None, "to": int(after)}
    return int(sequence), Switch.model_validate(facts)


def _name(folder: str, sequence: int, switch: Switch) -> str:
    at = switch.at.astimezone(UTC).strftime(_TIME)
    return f"{folder}/{sequence:09}-{switch.action}-{switch.before or 0}-{switch.after}-{at}"


def _history(entries: Sequence[tuple[int, Switch]], state: State) -> list[Switch]:
    """The switches that took place, oldest first; those of one number were made at once."""
    if state.number is None:
        return [*_values(entries)]
    made: list[Switch] = []  # newest first
    expected: int | None = state.number
    groups = [[*_values(group)] for _, group in groupby(entries, key=lambda entry: entry[0])]
    for group in reversed(groups):
        took_place = next((each for each in group if each.after == expected), None)
        if took_place is None and not made and any(each.before != expected for each in group):
            took_place = group[-1]  # and then somebody edited `current`
            now = datetime.now(UTC).replace(microsecond=0)
            made.append(Switch(at=now, action="found", before=took_place.after, after=state.number))
        if took_place is not None:
            made.append(took_place)
            expected = took_place.before
    if not groups:
        now = datetime.now(UTC).replace(microsecond=0)
        made.append(Switch(at=now, action="found", before=None, after=state.number))
    return made[::-1]
