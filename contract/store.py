"""The model store: folders that become visible whole, numbered, and never change afterwards.

    models/digits/.draft-3f9a/     being written, invisible to readers
    models/digits/3/               published: one rename turned a draft into it
                    card.json      says what the version is and the sha256 of every other file
    models/digits/current          the number of the served version, replaced by a rename

Two writers get two numbers: renaming onto a folder that has files fails, and the next number is
tried. A reader hashes every file against the card before it trusts any of them.
"""

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from contract.card import BadCard, FileFacts, ModelCard

CARD, CURRENT, DRAFT = "card.json", "current", ".draft-"
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"  # of a model


class BadName(ValueError):
    """What cannot be the name of a folder in the store."""


class BrokenVersion(Exception):
    """What lies in the store is not what the card describes; the message names the file."""


class NoVersion(Exception):
    """The version asked for, or any at all, is not in the store."""


@dataclass(frozen=True)
class Version:
    """A published version whose every file has been found to be the one on its card."""

    number: int
    folder: Path
    card: ModelCard

    def read(self, name: str) -> bytes:
        """The content of one file, hashed again: what was verified is what is used."""
        if name not in self.card.files:
            raise BrokenVersion(f"{self.folder / CARD} lists no {name}: export the run again")
        return _verified(self.folder / name, self.card.files[name])


class Store:
    """The versions of one model."""

    def __init__(self, root: Path, name: str) -> None:
        if not re.fullmatch(NAME, name):
            raise BadName(f"{name!r} cannot name a model: letters, digits, '.', '_' and '-' only")
        self.folder = root / name

    def versions(self) -> list[int]:
        """Numbers of the published versions, oldest first."""
        if not self.folder.exists():
            return []
        if not self.folder.is_dir():
            raise BrokenVersion(f"{self.folder} is not a folder")
        names = (path.name for path in self.folder.iterdir() if path.is_dir())
        return sorted(int(name) for name in names if re.fullmatch(r"[1-9][0-9]*", name))

    def current(self) -> int:
        """The number of the version that is to be served."""
        try:
            text = (self.folder / CURRENT).read_text(errors="replace").strip()
        except FileNotFoundError as error:
            raise NoVersion(
                f"{self.folder} has no current version: export one (make export)"
            ) from error
        except OSError as error:
            raise BrokenVersion(f"{self.folder / CURRENT} cannot be read: {error}") from error
        if not re.fullmatch(r"[1-9][0-9]*", text):
            raise BrokenVersion(f"{self.folder / CURRENT} must hold a version number, not {text!r}")
        return int(text)

    def open(self, number: int | None = None) -> Version:
        """A version, the current one unless `number` says another, with every file verified."""
        number = self.current() if number is None else number
        folder = self.folder / str(number)
        if number not in self.versions():
            known = ", ".join(map(str, self.versions())) or "none"
            raise NoVersion(f"{folder} is not there; published versions: {known}")
        version = Version(number, folder, _card(folder))
        if version.card.name != self.folder.name:
            raise BrokenVersion(f"{folder / CARD} is of a model named {version.card.name!r}")
        for name in version.card.files:
            version.read(name)
        return version

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """A folder to write a version into; it is gone afterwards unless it was published."""
        self.folder.mkdir(parents=True, exist_ok=True)
        folder = self.folder / f"{DRAFT}{secrets.token_hex(4)}"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, draft: Path, card: ModelCard) -> Version:
        """Make a draft the next version. Readers see all of it or nothing of it."""
        files = {path.name: _facts(path) for path in sorted(draft.iterdir())}
        card = card.model_copy(update={"files": files})
        _write_through(draft / CARD, card.to_json())
        sync(draft)
        number = max(self.versions(), default=0)
        while True:
            number += 1
            try:
                draft.rename(self.folder / str(number))
                break
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
        sync(self.folder)
        return Version(number, self.folder / str(number), card)

    def activate(self, number: int) -> None:
        """Make a version the current one, if all of it is there."""
        self.open(number)
        aside = self.folder / f".{CURRENT}-{secrets.token_hex(4)}"
        _write_through(aside, f"{number}\n")
        aside.replace(self.folder / CURRENT)
        sync(self.folder)


def _card(folder: Path) -> ModelCard:
    path = folder / CARD
    try:
        return ModelCard.from_json(path.read_bytes())
    except OSError as error:
        raise BrokenVersion(
            f"{path} cannot be read, so {folder} is no published version: {error}"
        ) from error
    except BadCard as error:
        raise BrokenVersion(f"{path} is not a model card: {error}") from error


def _verified(path: Path, card: FileFacts) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BrokenVersion(f"{path} is on the card but cannot be read: {error}") from error
    found = sha256(content).hexdigest()
    if found != card.sha256:
        raise BrokenVersion(
            f"{path} is not the file that its card describes: it has {len(content)} bytes and "
            f"sha256 {found}, the card says {card.size} bytes and sha256 {card.sha256}. "
            "Restore it, export the run again or activate another version."
        )
    return content


def _facts(path: Path) -> FileFacts:
    """Hash and size of a file that is on the disk, not merely in a cache, when this returns."""
    with path.open("rb") as file:
        content = file.read()
        os.fsync(file.fileno())
    return FileFacts(sha256=sha256(content).hexdigest(), size=len(content))


def _write_through(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Put a file, or the renames in a folder, on the disk and not merely into a cache."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
