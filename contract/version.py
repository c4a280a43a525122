"""One published version: a folder with a card, trusted only once every file on the card was hashed.

`store` manages all versions and the current one.
"""

import errno
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from contract.card import BadCard, FileFacts, ModelCard, NewerCard
from contract.errors import BrokenVersion, NewerVersion, NoVersion, Untrusted
from contract.files import facts_of, patiently, read_regular

if TYPE_CHECKING:  # `cryptography` is optional
    from contract.signature import Trust

CARD, SIGNATURE = "card.json", "card.json.sig"
RESTORE = "Restore it, export the run again or activate another version."
LARGEST_CARD = 16 * 2**20  # bytes, of a signature too; a card usually has about 7 kB


@dataclass(frozen=True)
class Version:
    """A published version. All of its files have been compared with its card."""

    number: int
    folder: Path
    card: ModelCard

    def read(self, name: str) -> bytes:
        """The content of one file, hashed again so that no other content is used."""
        return read_file(self.folder, self.card, name)


def open_version(folder: Path, trust: "Trust | None") -> Version:
    """The version in `folder`, if its card is trusted and every file matches the card.

    Raises NoVersion, BrokenVersion, or Untrusted.
    """
    card, content = _read(folder)
    if card.name != folder.parent.name:
        raise BrokenVersion(f"{folder / CARD} is of a model named {card.name!r}")
    if trust and (distrust := _distrust(folder, content, trust)):
        raise Untrusted(distrust)
    for name in card.files:
        if complaint := _complaint(folder / name, card):
            raise BrokenVersion(complaint)
    return Version(int(folder.name), folder, card)


def read_card(folder: Path) -> ModelCard:
    """The card of the version in `folder`. Neither files nor signature are checked."""
    return _read(folder)[0]


def read_file(folder: Path, card: ModelCard, name: str) -> bytes:
    """The content of one file of the version in `folder`; BrokenVersion unless it matches the card.

    The other files are not checked.
    """
    if name not in card.files:
        raise BrokenVersion(f"{folder / CARD} does not list {name}: export the run again")
    path, facts = folder / name, card.files[name]
    try:
        content = patiently(lambda: read_regular(path, facts.size))
    except OSError as error:
        raise BrokenVersion(_unreadable(path, error)) from error
    found = FileFacts(sha256=sha256(content).hexdigest(), size=len(content))
    if found != facts:
        raise BrokenVersion(_another(path, found, facts))
    return content


def check_version(folder: Path, trust: "Trust | None") -> dict[str, str | None]:
    """Every file in `folder` and what is wrong with it; None if it matches the card."""
    card, content = _read(folder)
    found = {name: _complaint(folder / name, card) for name in card.files}
    if card.name != folder.parent.name:
        found[CARD] = f"{folder / CARD} is of a model named {card.name!r}"
    others = {path.name for path in folder.iterdir()} - {CARD, SIGNATURE, *card.files}
    found |= {name: f"{folder / name} is not on the card" for name in sorted(others)}
    if trust:
        found[SIGNATURE] = _distrust(folder, content, trust)
    return found


def signature_of(folder: Path, trust: "Trust | None") -> str:
    """The state of the signature: "" or "signed" without trusted keys, and with trusted keys
    "not signed", "trusted" or "not trusted"."""
    if not (folder / SIGNATURE).exists():
        return "not signed" if trust else ""
    if trust is None:
        return "signed"
    return "not trusted" if _distrust(folder, _read(folder)[1], trust) else "trusted"


def _read(folder: Path) -> tuple[ModelCard, bytes]:
    """The card, and the bytes that its signature covers."""
    path = folder / CARD
    try:
        content = patiently(lambda: read_regular(path, LARGEST_CARD))
        return ModelCard.from_json(content), content
    except OSError as error:
        if not folder.is_dir():
            raise NoVersion(f"{folder} does not exist") from error
        raise BrokenVersion(
            f"{path} cannot be read, so {folder} is not a published version: "
            f"{error.strerror or error}"
        ) from error
    except NewerCard as error:
        raise NewerVersion(f"{path}: {error}") from error
    except BadCard as error:
        raise BrokenVersion(f"{path} is not a model card: {error}") from error


def _distrust(folder: Path, card: bytes, trust: "Trust") -> str | None:
    """Why the card's signature is rejected; None if it is accepted."""
    try:
        signature = patiently(lambda: read_regular(folder / SIGNATURE, LARGEST_CARD))
    except FileNotFoundError:
        signature = None
    except OSError as error:
        return f"{folder / SIGNATURE} cannot be read: {error}"
    try:
        trust(card, signature)
    except Untrusted as error:
        return f"{folder / CARD} {error}"
    return None


def _complaint(path: Path, card: ModelCard) -> str | None:
    """What is wrong with a file that is on the card; None if it matches."""
    facts = card.files[path.name]
    try:
        found = facts_of(path, most=facts.size)
    except OSError as error:
        return _unreadable(path, error)
    return None if found == facts else _another(path, found, facts)


def _unreadable(path: Path, error: OSError) -> str:
    if error.errno == errno.EFBIG:  # not hashed, because hashing could take too long
        return f"{path} is not the file that its card describes: {error.strerror}. {RESTORE}"
    return f"{path} is on the card but cannot be read: {error.strerror or error}. {RESTORE}"


def _another(path: Path, found: FileFacts, facts: FileFacts) -> str:
    return (
        f"{path} is not the file that its card describes: it has {found.size} bytes and "
        f"sha256 {found.sha256}, the card has {facts.size} bytes and sha256 {facts.sha256}. "
        f"{RESTORE}"
    )
