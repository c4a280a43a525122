"""The model store: numbered folders that become visible as a whole and never change afterwards.

    models/digits/.draft-3f9a/     a draft, invisible to readers
    models/digits/3/               a published version: a draft that was renamed
                    card.json      the model card, with the sha256 of every other file
                    card.json.sig  the signature of the card, if there is one
    models/digits/current          the number of the served version, replaced by a rename
    models/digits/history.jsonl    when which version was made current
    models/digits/.lock            held while versions are switched or pruned; readers need no lock

Two writers get two numbers: renaming onto a folder that has files fails, and the next number is
tried. A reader compares the hash of every file with the card before it trusts any of them. So it
never accepts an incomplete version, not even where renaming a folder takes several steps (object
stores mounted as folders) or becomes visible late (NFS).
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
from contract.errors import BadName, BrokenVersion, Moved, NoModel, NoVersion, StoreError, Untrusted
from contract.files import confirm, facts_of, locked, named, sync, write_through
from contract.location import Location
from contract.settings import Access, access_from_environment, export_command
from contract.version import (
    CARD,
    SIGNATURE,
    Version,
    check_version,
    open_version,
    read_card,
    read_file,
    signature_of,
)

if TYPE_CHECKING:  # `cryptography` is optional
    from contract.signature import Sign, Trust

LOCK = ".lock"
DRAFT, PRUNED = ".draft-", ".pruned-"  # prefixes of folder names
ABANDONED = 24 * 3600.0  # seconds after which a draft is abandoned
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"  # of a model

Stamp = tuple[int, int, int]


class NoKeys(StoreError, ValueError):
    """DIGITSERVE_TRUSTED_KEYS is set and holds no key."""


class Store:
    """The versions of one model. With `trust`, only versions that it accepts are opened."""

    def __init__(self, root: Path, name: str, trust: "Trust | None" = None) -> None:
        if not re.fullmatch(NAME, name):
            raise BadName(f"{name!r} cannot name a model: letters, digits, '.', '_' and '-' only")
        self.folder = root / name
        self.place = str(self.folder)  # in messages
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
        """The number of the current version, which the service serves.

        Raises NoModel, NoVersion or BrokenVersion.
        """
        try:
            return self._current.number()
        except NoVersion as error:
            if not self.folder.exists():
                raise NoModel(f"{self.folder} does not exist: {self.others()}") from error
            there = ", ".join(map(str, self.versions()))
            advice = f"activate one of {there}" if there else f"export one ({export_command()})"
            raise NoVersion(f"{error}: {advice}") from error

    def others(self) -> str:
        """What the store holds instead of this model's versions, and what to do."""
        root = self.folder.parent
        if not root.exists():
            return f"its parent folder is missing too; export a version ({export_command()})"
        with suppress(OSError):
            others = sorted(
                path.name
                for path in root.iterdir()
                if re.fullmatch(NAME, path.name) and path.is_dir() and path != self.folder
            )
            if others:
                return (
                    f"other models in that store: {', '.join(others)}. Name one of them with "
                    "DIGITSERVE_MODEL or, for python -m contract, --name; or export a version "
                    f"({export_command()})"
                )
        return f"that store has no model; export a version ({export_command()})"

    def card(self, number: int) -> ModelCard:
        """The card of a version. Neither its files nor its signature are checked."""
        with self._listing_published():
            return read_card(self.folder / str(number))

    def stamp(self, number: int) -> Stamp | None:
        """Another one if a card was replaced or written to; None if it cannot be accessed."""
        try:
            found = (self.folder / str(number) / CARD).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def read(self, number: int, card: ModelCard, name: str) -> bytes:
        """One file of a version, if it matches the card; BrokenVersion otherwise."""
        return read_file(self.folder / str(number), card, name)

    def of_job(self, job: str) -> list[int]:
        """The versions that a retraining job has published, newest first."""
        numbers = []
        for number in reversed(self.versions()):
            with suppress(StoreError):  # pruned meanwhile, or damaged
                if self.card(number).job == job:
                    numbers.append(number)
        return numbers

    def find(self, number: int) -> None:
        """Raises NoVersion, with the published versions, if there is no folder of that number."""
        with self._listing_published():
            if not (self.folder / str(number)).is_dir():
                raise NoVersion(f"{self.folder / str(number)} does not exist")

    def open(self, number: int | None = None) -> Version:
        """The version `number`, or else the current one, with every file verified.

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
                if self.current() == number:  # else it was replaced and perhaps pruned meanwhile
                    raise

    def check(self, number: int) -> dict[str, str | None]:
        """What is wrong with each file of a version and with its signature, None if nothing.

        Raises NoVersion, or BrokenVersion if the card cannot be read.
        """
        with self._listing_published():
            return check_version(self.folder / str(number), self._trust)

    def signature(self, number: int) -> str:
        """The state of a version's signature: see `version.signature_of`."""
        with self._listing_published():
            return signature_of(self.folder / str(number), self._trust)

    def history(self) -> list[Switch]:
        """The switches of the current version, oldest first."""
        return self._current.history()

    def previous(self) -> int:
        """The number of the version that `rollback` would make current."""
        return self._current.previous(self.versions())

    def earlier(self) -> list[int]:
        """The numbers of the versions that repeated rollbacks lead to, the next one first."""
        return self._current.earlier(self.versions())

    # ---- writing ------------------------------------------------------------------------------

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """A folder for a new version. It is removed afterwards unless it was published."""
        self.folder.mkdir(parents=True, exist_ok=True)
        folder = self.folder / f"{DRAFT}{secrets.token_hex(4)}"
        folder.mkdir()
        try:
            with named(folder):
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def check_signer(self, sign: "Sign | None") -> None:
        """Raises Untrusted if a version signed by `sign` (None: unsigned) cannot be activated."""
        if self._trust:
            try:
                self._trust(b"", sign(b"") if sign else None)
            except Untrusted as error:
                raise Untrusted(f"a version for {self.folder} {error}") from error

    def publish(self, draft: Path, card: ModelCard, sign: "Sign | None" = None) -> Version:
        """Make a draft the next version. Readers see either all of it or nothing."""
        card = completed(draft, card, sign)
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

    def activate(
        self, number: int, action: Action = "activate", *, expected: int | None = None
    ) -> Switch | None:
        """Verify a version and make it the current one; None if it is current already.

        With `expected`, Moved if neither that version nor `number` is current.
        """
        if not self.folder.is_dir():
            self.open(number)  # raises the error
        with locked(self.folder / LOCK):  # the version cannot be pruned while it is verified
            self.open(number)
            if expected is not None and (found := self.current()) not in (expected, number):
                raise Moved(
                    f"{self.folder}: the current version is {found} and no longer {expected}"
                )
            return self._current.switch(number, action)

    def rollback(self) -> Switch:
        """Make the previous version current again; NoVersion if there is none."""
        self.current()  # raises NoVersion if no version is current
        with locked(self.folder / LOCK):
            number = self.previous()
            self.open(number)
            switch = self._current.switch(number, "rollback")
            assert switch is not None, "`previous` is never the current one"
            return switch

    def prune(self, keep: int, *, dry: bool = False) -> list[int]:
        """Remove all but the newest `keep` versions and return the removed numbers.

        The current version and the previous one always stay. With `dry` nothing is removed.
        """
        if keep < 1:
            raise ValueError("at least one version must be kept")
        if dry or not self.folder.is_dir():
            return self._going(keep)
        with locked(self.folder / LOCK):
            going = self._going(keep)
            remove(self.folder, going)
        return going

    # ---- steps ----------------------------------------------------------------------

    @contextmanager
    def _listing_published(self) -> Iterator[None]:
        """Add the published versions to the error about a missing one."""
        try:
            yield
        except NoVersion as error:
            raise NoVersion(f"{error}; published versions: {self._known()}") from error

    def _known(self) -> str:
        return ", ".join(map(str, self.versions())) or "none"

    def _going(self, keep: int) -> list[int]:
        """The versions that pruning removes."""
        numbers = self.versions()
        stay = {*numbers[-keep:]} | {*self._needed()}
        return [number for number in numbers if number not in stay]

    def _needed(self) -> Iterator[int]:
        """The versions that are served, or would be after a rollback."""
        if (served := self._current.last_known()) is not None:
            yield served
        with suppress(NoVersion):
            yield self.previous()


def open_store(
    models: Location, name: str, trusted_keys: Sequence[str] = (), access: Access | None = None
) -> Store:
    """The store at `models`; with keys, it opens only versions that they signed.

    `access` is for a store in a bucket, None: as the environment says. Raises a StoreError.
    """
    trust = None
    if trusted_keys:
        from contract import signature  # loads `cryptography`, which is optional

        trust = signature.trust(trusted_keys)
    if isinstance(models, Path):
        return Store(models, name, trust)
    from contract.mirror import MirroredStore

    return MirroredStore(models, name, access or access_from_environment(models), trust)


def completed(draft: Path, card: ModelCard, sign: "Sign | None") -> ModelCard:
    """Write the card of a draft, with the hashes of its files, and the signature."""
    files = {}
    for path in sorted(draft.iterdir()):
        files[path.name] = facts_of(path)  # first, because it rejects all but regular files
        sync(path)
    content = card.model_copy(update={"files": files}).to_json().encode()
    card = ModelCard.from_json(content)  # as readers will parse it
    write_through(draft / CARD, content)
    if sign:
        write_through(draft / SIGNATURE, sign(content))
    sync(draft)
    return card


def keys_of(text: str | None) -> tuple[str, ...]:
    """The comma-separated keys of DIGITSERVE_TRUSTED_KEYS; none if it is not set.

    Raises NoKeys if it is set and empty: an empty secret must not disable the check.
    """
    if text is None:
        return ()
    keys = tuple(key.strip() for key in text.split(",") if key.strip())
    if not keys:
        raise NoKeys(
            "DIGITSERVE_TRUSTED_KEYS is set and holds no key: unset it to accept unsigned versions"
        )
    return keys


def remove(folder: Path, numbers: Iterable[int]) -> None:
    """Remove versions: a rename hides each one as a whole first. Leftovers are removed too."""
    for number in numbers:
        (folder / str(number)).rename(folder / f"{PRUNED}{number}-{secrets.token_hex(4)}")
    for path in _leftovers(folder):
        shutil.rmtree(path)
    confirm(folder)


def _leftovers(folder: Path) -> Iterator[Path]:
    """Hidden versions, and drafts of programs that were killed."""
    last_alive = time.time() - ABANDONED
    for path in folder.iterdir():
        if path.name.startswith(PRUNED):
            yield path
        elif path.name.startswith(DRAFT):
            with suppress(FileNotFoundError):  # it has just been published
                if path.stat().st_mtime < last_alive:
                    yield path
