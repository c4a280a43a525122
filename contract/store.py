"""The model store: folders that become visible whole, numbered, and never change afterwards.

    models/digits/.draft-3f9a/     being written, invisible to readers
    models/digits/3/               published: one rename turned a draft into it
                    card.json      says what the version is and the sha256 of every other file
                    card.json.sig  signature of the card, if there is one
    models/digits/current          the number of the served version, replaced by a rename
    models/digits/history.jsonl    which version was made current when
    models/digits/.lock            held by a program that switches or prunes; readers need none

Two writers get two numbers: renaming onto a folder that has files fails, and the next number is
tried. A reader hashes every file against the card before it trusts any of them, so it never takes
half a version for a whole one, not even where a folder's rename is no single step (object stores
mounted as folders) or is seen late (NFS).
"""

import errno
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from contract.card import ModelCard
from contract.current import NUMBER, Action, Current, Switch
from contract.errors import BadName, BrokenVersion, NoVersion, StoreError, Untrusted
from contract.files import confirm, facts_of, locked, named, sync, write_through
from contract.version import (
    CARD,
    SIGNATURE,
    Finding,
    Version,
    check_version,
    open_version,
    read_card,
    signature_of,
)

if TYPE_CHECKING:  # `cryptography` is not needed where nothing is signed
    from contract.signature import Sign, Trust

LOCK = ".lock"
DRAFT, PRUNED = ".draft-", ".pruned-"  # prefixes of folders' names
ABANDONED = 24 * 3600.0  # seconds after which a draft is abandoned
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"  # of a model


class NoKeys(StoreError, ValueError):
    """DIGITSERVE_TRUSTED_KEYS is set and names no key."""


class Store:
    """The versions of one model. With `trust`, only those that it accepts are opened."""

    def __init__(self, root: Path, name: str, trust: "Trust | None" = None) -> None:
        if not re.fullmatch(NAME, name):
            raise BadName(f"{name!r} cannot name a model: letters, digits, '.', '_' and '-' only")
        self.folder = root / name
        self._current = Current(self.folder)
        self._trust = trust

    # ---- reading ------------------------------------------------------------------------------

    def versions(self) -> list[int]:
        """Numbers of the published versions, oldest first."""
        if not self.folder.exists():
            return []
        if not self.folder.is_dir():
            raise BrokenVersion(f"{self.folder} is not a folder")
        names = (path.name for path in self.folder.iterdir() if path.is_dir())
        return sorted(int(name) for name in names if re.fullmatch(NUMBER, name))

    def current(self) -> int:
        """The number of the current version, which services serve."""
        try:
            return self._current.number()
        except NoVersion as error:
            there = ", ".join(map(str, self.versions()))
            advice = f"make one current, of {there}" if there else "export one (make export)"
            raise NoVersion(f"{error}: {advice}") from error

    def card(self, number: int) -> ModelCard:
        """A version's card; neither its files nor its signature are checked."""
        with self._listing_published():
            return read_card(self.folder / str(number))

    def find(self, number: int) -> None:
        """NoVersion, which says what there is, unless the version is there, whole or not."""
        with self._listing_published():
            if not (self.folder / str(number)).is_dir():
                raise NoVersion(f"{self.folder / str(number)} is not there")

    def open(self, number: int | None = None) -> Version:
        """A version, the current one unless `number` says another, with every file verified.

        Raises NoVersion, BrokenVersion, or Untrusted.
        """
        if number is not None:
            with self._listing_published():
                return open_version(self.folder / str(number), self._trust)
        while True:
            number = self.current()
            try:
                return self.open(number)
            except StoreError:
                if self.current() == number:  # else it was replaced, and perhaps pruned, meanwhile
                    raise

    def check(self, number: int) -> list[Finding]:
        """Every file of a version, and its signature if that matters, with what is wrong.

        Raises NoVersion, or BrokenVersion where there is no card to check by.
        """
        with self._listing_published():
            return check_version(self.folder / str(number), self._trust)

    def signature(self, number: int) -> str:
        """State of the signature: "", "signed", and with `trust` "trusted" or "not trusted"."""
        with self._listing_published():
            return signature_of(self.folder / str(number), self._trust)

    def history(self) -> list[Switch]:
        """Which version was made current when, oldest first."""
        return self._current.history()

    def previous(self) -> int:
        """The version that `rollback` would make current."""
        return self._current.previous(self.versions())

    # ---- writing ------------------------------------------------------------------------------

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """A folder to write a version into; it is gone afterwards unless it was published."""
        self.folder.mkdir(parents=True, exist_ok=True)
        folder = self.folder / f"{DRAFT}{secrets.token_hex(4)}"
        folder.mkdir()
        try:
            with named(folder):
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def check_signer(self, sign: "Sign | None") -> None:
        """Untrusted if a version signed by `sign` (None: not signed) could not be made current."""
        if self._trust:
            try:
                self._trust(b"", sign(b"") if sign else None)
            except Untrusted as error:
                raise Untrusted(f"a version for {self.folder} {error}") from error

    def publish(self, draft: Path, card: ModelCard, sign: "Sign | None" = None) -> Version:
        """Make a draft the next version. Readers see all of it or nothing of it."""
        files = {}
        for path in sorted(draft.iterdir()):
            files[path.name] = facts_of(path)  # first: it refuses what is not a regular file
            sync(path)
        content = card.model_copy(update={"files": files}).to_json().encode()
        card = ModelCard.from_json(content)  # what readers will make of it
        write_through(draft / CARD, content)
        if sign:
            write_through(draft / SIGNATURE, sign(content))
        sync(draft)
        number = max([*self.versions(), *(switch.after for switch in self.history())], default=0)
        while True:
            number += 1
            try:
                draft.rename(self.folder / str(number))
                break
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    raise
        confirm(self.folder)
        return Version(number, self.folder / str(number), card)

    def activate(self, number: int, action: Action = "activate") -> Switch | None:
        """Make a version the current one, if all of it is there; None if it is already."""
        if not self.folder.is_dir():
            self.open(number)  # says so
        with locked(self.folder / LOCK):  # a version is not pruned while it is verified
            self.open(number)
            return self._current.switch(number, action)

    def rollback(self) -> Switch:
        """Make the version current that was so before; NoVersion if none was."""
        self.current()  # else there is nothing to come back from
        with locked(self.folder / LOCK):
            number = self.previous()
            self.open(number)
            switch = self._current.switch(number, "rollback")
            assert switch is not None, "`previous` is never the current one"
            return switch

    def prune(self, keep: int, *, dry: bool = False) -> list[int]:
        """Remove all but the newest `keep` versions; returns which. `dry` only says which.

        The current version and the one before it always stay.
        """
        if keep < 1:
            raise ValueError("at least one version is kept")
        if dry or not self.folder.is_dir():
            return self._going(keep)
        with locked(self.folder / LOCK):
            going = self._going(keep)
            _remove(self.folder, going)
        return going

    # ---- the steps of it ----------------------------------------------------------------------

    @contextmanager
    def _listing_published(self) -> Iterator[None]:
        """Let an error about a missing version list the published ones."""
        try:
            yield
        except NoVersion as error:
            known = ", ".join(map(str, self.versions())) or "none"
            raise NoVersion(f"{error}; published versions: {known}") from error

    def _going(self, keep: int) -> list[int]:
        """What pruning removes."""
        numbers = self.versions()
        stay = {*numbers[-keep:]} | {*self._needed()}
        return [number for number in numbers if number not in stay]

    def _needed(self) -> Iterator[int]:
        """The versions that are served or rolled back to."""
        if (served := self._current.last_known()) is not None:
            yield served
        with suppress(NoVersion):
            yield self.previous()


def open_store(models: Path, name: str, trusted_keys: Sequence[str] = ()) -> Store:
    """The store in the folder `models`; with keys, one that opens only what they have signed."""
    if not trusted_keys:
        return Store(models, name)
    from contract import signature  # loads `cryptography`, which is optional

    return Store(models, name, signature.trust(trusted_keys))


def keys_of(text: str | None) -> tuple[str, ...]:
    """The keys in DIGITSERVE_TRUSTED_KEYS, with commas between them; none if it is not set.

    NoKeys if it is set and holds none: an empty secret must not switch checking off.
    """
    if text is None:
        return ()
    keys = tuple(key.strip() for key in text.split(",") if key.strip())
    if not keys:
        raise NoKeys(
            "DIGITSERVE_TRUSTED_KEYS is set and holds no key: unset it to take unsigned versions"
        )
    return keys


def _remove(folder: Path, numbers: Iterable[int]) -> None:
    """Remove these versions, first out of sight, whole, then for good; and all that was left."""
    for number in numbers:
        (folder / str(number)).rename(folder / f"{PRUNED}{number}-{secrets.token_hex(4)}")
    for path in _leftovers(folder):
        shutil.rmtree(path)
    confirm(folder)


def _leftovers(folder: Path) -> Iterator[Path]:
    """Pruned versions, and drafts whose writer was killed."""
    last_alive = time.time() - ABANDONED
    for path in folder.iterdir():
        if path.name.startswith(PRUNED):
            yield path
        elif path.name.startswith(DRAFT):
            with suppress(FileNotFoundError):  # it has just been published
                if path.stat().st_mtime < last_alive:
                    yield path
