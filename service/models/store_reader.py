"""The content of the store for requests that only read; `store_reads` reads for one at a time.

A card that was read once is not read again while its file is the same: of a thousand versions, the
first listing took 0.2 s of Python, kept from the requests beside it, the next ones 0.02 s.

Cards, and the metrics of a training, name the paths that data and weights were read from. The last
part of such a path identifies it to people; the folders before it, which are of the machine that
made it, are not published.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import orjson

from contract.card import DataFacts, Gate, ModelCard
from contract.errors import BrokenVersion, NoVersion, StoreError
from contract.store import Stamp, Store
from service.errors import Problem
from service.models.integrity import IntegrityCheck
from service.models.store_reads import StoreReads, store_problem, without_paths
from service.problem_types.versions import (
    BROKEN_VERSION,
    NO_SUCH_FILE,
    NO_SUCH_VERSION,
    STORE_UNREADABLE,
)

IMAGE, DOCUMENT = ".png", ".json"
SHOWN = (IMAGE, DOCUMENT)  # how files end that are for people: never networks
T = TypeVar("T")


class VersionSummary(NamedTuple):
    """What a listing takes from a card."""

    number: int
    current: bool
    created: datetime | None = None
    accuracy: float | None = None  # on the test set, 0..1; None: unknown
    data_set: DataFacts | None = None  # that it was measured on; None: unknown
    gate: Gate | None = None
    broken: str | None = None  # why the card cannot be read
    damage: str | None = None  # why it cannot be served, as last verified


class StoreReader:
    def __init__(self, store: Store, reads: StoreReads, integrity: IntegrityCheck) -> None:
        self._store = store
        self._reads = reads
        self._integrity = integrity
        self._known: dict[int, tuple[Stamp, VersionSummary]] = {}

    async def numbers(self) -> list[int]:
        """Of all versions, newest first. A Problem, here and below, if the store is unreadable."""
        return await self._look(self._numbers)

    async def newest(self, most: int) -> tuple[int, list[VersionSummary]]:
        """How many versions there are, and what the newest of them are."""
        return await self._look(lambda: self._newest(most))

    async def card(self, number: int) -> tuple[ModelCard, bool]:
        """The card of a version, and whether it is current; a Problem if there is none."""
        return await self._look(
            lambda: (self._store.card(number), number == self._current()), of_version=True
        )

    async def file(self, number: int, name: str) -> tuple[bytes, str]:
        """What people may see of a file of a version, and the sha256 of that.

        A Problem if the file is none for them, or not the one on the card.
        """
        return await self._look(lambda: self._file(number, name), of_version=True)

    async def _look(self, work: Callable[[], T], *, of_version: bool = False) -> T:
        try:
            return await self._reads.read(work)
        except (StoreError, OSError) as error:
            kind = STORE_UNREADABLE
            if of_version and isinstance(error, NoVersion):
                kind = NO_SUCH_VERSION
            elif of_version and isinstance(error, BrokenVersion):
                kind = BROKEN_VERSION
            raise store_problem(error, self._store, kind) from error

    def _numbers(self) -> list[int]:
        return self._store.versions()[::-1]

    def _newest(self, most: int) -> tuple[int, list[VersionSummary]]:
        numbers, current = self._numbers(), self._current()
        there = set(numbers)
        self._known = {each: known for each, known in self._known.items() if each in there}
        listed = []
        for number in numbers[:most]:
            with suppress(NoVersion):  # pruned meanwhile
                listed.append(self._listed(number, number == current))
        return len(numbers), listed

    def _listed(self, number: int, current: bool) -> VersionSummary:
        try:
            summary = self._summary(number)
        except BrokenVersion as error:
            return VersionSummary(number, current, broken=without_paths(error, self._store))
        return summary._replace(current=current, damage=self._integrity.damage(number))

    def _summary(self, number: int) -> VersionSummary:
        """Kept until its card changes; `current` and `damage` are not filled in."""
        stamp = self._store.stamp(number)
        known = self._known.get(number)
        if known is not None and known[0] == stamp:
            return known[1]
        card = self._store.card(number)
        summary = VersionSummary(
            number,
            current=False,
            created=card.created,
            accuracy=card.evaluation.accuracy if card.evaluation else None,
            data_set=card.data_set,
            gate=card.gate,
        )
        if stamp is not None:
            self._known[number] = stamp, summary
        return summary

    def _file(self, number: int, name: str) -> tuple[bytes, str]:
        card = self._store.card(number)
        shown = [each for each in card.files if each.endswith(SHOWN)]
        if name not in shown:
            there = ", ".join(shown) or "none"
            detail = f"version {number} shows no file {name[:64]!r}; there are {there}"
            raise Problem(NO_SUCH_FILE, detail)
        content = self._store.read(number, card, name)
        if name.endswith(DOCUMENT):
            try:
                content = public_document(content)
            except ValueError as error:
                raise BrokenVersion(f"{number}/{name} is no JSON: {error}") from error
        return content, sha256(content).hexdigest()

    def _current(self) -> int | None:
        try:
            return self._store.current()
        except StoreError:  # the version that serves goes on
            return None


def public_card(card: ModelCard) -> ModelCard:
    recipe = {knob: _without_folders(value) for knob, value in card.recipe.items()}
    data_set = card.data_set
    if data_set is not None:
        source = _without_folders(data_set.source)
        data_set = data_set.model_copy(update={"source": source})
    return card.model_copy(update={"data_set": data_set, "recipe": recipe})


def public_document(content: bytes) -> bytes:
    """The same of any JSON file of a version; byte for byte the file where that changes nothing."""
    document = orjson.loads(content)
    if not isinstance(document, dict):
        return content
    published = document | {
        part: {name: _without_folders(value) for name, value in document[part].items()}
        for part in ("data_set", "recipe")
        if isinstance(document.get(part), dict)
    }
    return content if published == document else orjson.dumps(published)


def _without_folders(value: Any) -> Any:
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
