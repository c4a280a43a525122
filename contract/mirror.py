"""The model store in a bucket, and the folder into which it copies the versions that are opened.

    s3://bucket/prefix/digits/3/...           the same files as in a folder, see `remote_versions`
                              current         see `remote_current`
                              history/...
    ~/.cache/digitserve/s3/bucket/prefix/digits/3/   the copy: a model store in a folder

A number is reserved first, then the files are written, and the card last: without it, readers see
no version. A copy is made as a draft, every hash is compared with the card, and a rename makes it a
version. Programs that share the cache make one copy. A damaged copy is made again.

The bucket has no locks. `activate` looks whether the version is still there once it is current, and
`prune` restores a card if its version has become current meanwhile: one of the two notices.
"""

import errno
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from contract.bucket import Bucket
from contract.card import ModelCard
from contract.current import CURRENT, Action, Current, Switch
from contract.errors import (
    BrokenVersion,
    Moved,
    NoModel,
    NoVersion,
    StoreError,
    Unreachable,
    Untrusted,
)
from contract.files import locked, read_regular, replace_together
from contract.location import ObjectUrl
from contract.remote_current import RemoteCurrent, State
from contract.remote_versions import RemoteVersions
from contract.settings import Access, export_command
from contract.store import ABANDONED, LOCK, NAME, Stamp, Store, completed, remove
from contract.version import (
    CARD,
    LARGEST_CARD,
    SIGNATURE,
    Version,
    check_version,
    open_version,
    read_card,
    signature_of,
)

if TYPE_CHECKING:  # `cryptography` is optional
    from contract.signature import Sign, Trust

COPYING = ".lock-copy"  # held while a version is copied into the cache
PATIENCE = 600.0  # seconds to wait for another program that copies
# A version that was current within this time is not pruned: a replica may still be copying it.
GRACE = timedelta(hours=1)
RECENT = 600.0  # seconds for which a copy stays in the cache, as another worker may load it


class MirroredStore(Store):
    """The versions of one model in a bucket. `folder` holds the copies."""

    def __init__(
        self, url: ObjectUrl, name: str, access: Access, trust: "Trust | None" = None
    ) -> None:
        super().__init__(url.copies_in(access.cache), name, trust)
        self.place = f"{url}/{name}"
        # Called after each read of `current`, on the thread that read it.
        self.when_read: Callable[[Unreachable | None], None] = lambda error: None
        self._url, self._name = url, name
        self._bucket = Bucket(url, timeout=access.timeout, allow_http=access.allow_http)
        self._versions = RemoteVersions(self._bucket, self.place, name)
        self._current = self._remote = RemoteCurrent(self._bucket, self.place, name)
        self._copied = Current(self.folder)  # the version that served from the cache last
        self._serve_cached = access.serve_cached

    # ---- reading ------------------------------------------------------------------------------

    def versions(self) -> list[int]:
        """Numbers of the published versions, oldest first; without the bucket, those copied."""
        try:
            objects = self._versions.objects()
        except Unreachable:
            if not self._serve_cached:
                raise
            return super().versions()
        return [number for number, written in objects.items() if CARD in written]

    def current(self) -> int:
        """The number of the current version.

        Raises NoModel, NoVersion, BrokenVersion, or Unreachable, unless the cache stands in.
        """
        try:
            number = self._remote.number()
        except Unreachable as error:
            self.when_read(error)
            if self._serve_cached and (copied := self._last_served()) is not None:
                return copied
            raise
        except NoVersion as error:
            raise NoModel(f"{error}: {self.others()}") from error
        self.when_read(None)
        return number

    def others(self) -> str:
        folders = [each for each in self._bucket.folders("") if re.fullmatch(NAME, each)]
        others = [each for each in folders if each != self._name]
        if not others or self._name in folders:
            return f"export a version ({export_command()}), or activate one that is there"
        return (
            f"other models in that store: {', '.join(others)}. Name one of them with "
            "DIGITSERVE_MODEL or, for python -m contract, --name; or export a version "
            f"({export_command()})"
        )

    def card(self, number: int) -> ModelCard:
        with suppress(NoVersion, BrokenVersion):
            return read_card(self.folder / str(number))
        with self._listing_published():
            return self._versions.parsed(number, self._versions.card(number))

    def stamp(self, number: int) -> Stamp:
        return 0, 0, 0  # versions in a bucket never change

    def read(self, number: int, card: ModelCard, name: str) -> bytes:
        if name not in card.files or (self.folder / str(number) / name).exists():
            return super().read(number, card, name)
        facts = card.files[name]
        content = self._versions.read(number, name, facts.size)
        if (sha256(content).hexdigest(), len(content)) != (facts.sha256, facts.size):
            raise BrokenVersion(f"{self.place}/{number}/{name} is not the file on its card")
        return content

    def find(self, number: int) -> None:
        with self._listing_published():
            self._versions.fresh_card(number)

    def open(self, number: int | None = None) -> Version:
        """The version `number`, or else the current one, copied and with every file verified.

        Instead of a current version that cannot be copied, the one that served last.
        """
        if number is None:
            try:
                return super().open()
            except Unreachable as error:
                if not self._serve_cached or (copied := self._last_served()) is None:
                    raise
                self.when_read(error)
                return self.open(copied)
        if (version := self._copied_version(number)) is not None:
            return version
        with self._listing_published():
            self._copy(number)
        return open_version(self.folder / str(number), self._trust)

    def check(self, number: int) -> dict[str, str | None]:
        """As of a folder, of the files in the bucket: each is read."""
        with self._listing_published():
            content = self._versions.card(number)
        card = self._versions.parsed(number, content)
        with self.draft() as draft:
            self._versions.copy_card(number, content, draft)
            for name in card.files:
                with suppress(BrokenVersion):  # which `check_version` will find
                    self._versions.download(number, name, card.files[name], draft)
            found = check_version(draft, self._trust)
        here = f"{draft}/"
        there = f"{self.place}/{number}/"
        return {name: text and text.replace(here, there) for name, text in found.items()}

    def signature(self, number: int) -> str:
        with suppress(NoVersion, BrokenVersion):
            return signature_of(self.folder / str(number), self._trust)
        with self._listing_published():
            content = self._versions.card(number)
        with self.draft() as draft:
            self._versions.copy_card(number, content, draft)
            return signature_of(draft, self._trust)

    # ---- writing ------------------------------------------------------------------------------

    def publish(self, draft: Path, card: ModelCard, sign: "Sign | None" = None) -> Version:
        """Upload a draft as the next version. Readers see either all of it or nothing."""
        card = completed(draft, card, sign)
        known = self._versions.objects()
        number = max([*known, *(each.after for each in self.history())], default=0) + 1
        while not self._versions.publish(draft, number):
            number += 1
        folder = self.folder / str(number)
        with locked(self.folder / COPYING, PATIENCE):
            self._replace(folder, draft)
        return Version(number, folder, card)

    def activate(
        self, number: int, action: Action = "activate", *, expected: int | None = None
    ) -> Switch | None:
        self.open(number)
        while True:
            state = self._remote.state()
            if expected is not None and state.number not in (expected, number):
                raise Moved(
                    f"{self.place}: the current version is {state.number} and no longer {expected}"
                )
            with suppress(Moved):  # look again
                return self._switched(state, number, action)

    def rollback(self) -> Switch:
        state = self._remote.state()
        number = self.previous()
        self.open(number)
        switch = self._switched(state, number, "rollback")
        assert switch is not None, "`previous` is never the current one"
        return switch

    def prune(self, keep: int, *, dry: bool = False) -> list[int]:
        """As in a folder; versions that were current within GRACE stay too."""
        if keep < 1:
            raise ValueError("at least one version must be kept")
        going = self._going(keep)
        if dry:
            return going
        removed = [number for number in going if self._removed(number)]
        for number, written in self._versions.objects().items():
            age = _now() - max(written.values())
            if CARD not in written and age > timedelta(seconds=ABANDONED):
                self._versions.delete(number, written)
        return removed

    # ---- the cache ----------------------------------------------------------------------------

    def keep_copies(self, number: int, previous: int | None) -> None:
        """Make a copy the one that serves without the bucket; all but these two go in time."""
        with locked(self.folder / LOCK):
            replace_together({self.folder / CURRENT: f"{number}\n".encode()})
        self._make_room({number, previous}, older=RECENT)

    def _last_served(self) -> int | None:
        with suppress(StoreError):
            number = self._copied.number()
            if (self.folder / str(number)).is_dir():
                return number
        return None

    def _copied_version(self, number: int) -> Version | None:
        """The copy of a version; None if there is none that is whole and still the bucket's.

        A bucket that was emptied, or another server that has one of the same name, gives the same
        numbers to other versions.
        """
        folder = self.folder / str(number)
        try:
            version = open_version(folder, self._trust)
            copied = read_regular(folder / CARD, LARGEST_CARD)
        except (NoVersion, BrokenVersion, OSError):
            return None
        try:
            return version if copied == self._versions.fresh_card(number) else None
        except (Unreachable, NoVersion):
            return version

    def _copy(self, number: int) -> None:
        """Copy a version into the cache, in place of a copy that is damaged or of another one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / COPYING, PATIENCE):
            if self._copied_version(number) is not None:
                return  # another program has just copied it
            try:
                self._download(number)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                self._make_room({self._last_served()}, older=0)
                self._download(number)

    def _download(self, number: int) -> None:
        content = self._versions.fresh_card(number)
        with self.draft() as draft:
            self._versions.copy_card(number, content, draft)
            self._check_trust(number, content, draft)
            card = self._versions.parsed(number, content)
            for name, facts in card.files.items():
                self._versions.download(number, name, facts, draft)
            self._replace(self.folder / str(number), draft)

    def _replace(self, copy: Path, draft: Path) -> None:
        """Make a draft the copy of its version, in place of a damaged one; with COPYING held."""
        with locked(self.folder / LOCK):  # of two programs that remove a folder, one fails
            remove(self.folder, [int(copy.name)] if copy.exists() else [])
            draft.rename(copy)

    def _check_trust(self, number: int, card: bytes, draft: Path) -> None:
        """Before the card is parsed, or anything large copied."""
        if self._trust:
            path = draft / SIGNATURE
            try:
                self._trust(card, path.read_bytes() if path.exists() else None)
            except Untrusted as error:
                raise Untrusted(f"{self.place}/{number}/{CARD} {error}") from error

    def _make_room(self, stay: Iterable[int | None], *, older: float) -> None:
        """Remove copies that are older than that many seconds, except for those that `stay`."""
        with locked(self.folder / LOCK):
            before = time.time() - older
            copies = set(super().versions()) - set(stay)
            with suppress(FileNotFoundError):  # another worker removes it
                old = [n for n in copies if (self.folder / str(n)).stat().st_mtime < before]
                remove(self.folder, old)

    # ---- steps --------------------------------------------------------------------------------

    def _known(self) -> str:
        try:
            return super()._known()
        except Unreachable as error:
            return f"unknown, {error}"

    def _switched(self, state: State, number: int, action: Action) -> Switch | None:
        switch = self._remote.replace(state, number, action)
        try:
            self._versions.fresh_card(number)
        except NoVersion:  # it was pruned in the same moment
            if state.number is not None and state.number != number:
                self._remote.replace(self._remote.state(), state.number, "rollback")
            raise
        return switch

    def _needed(self) -> Iterator[int]:
        yield from super()._needed()
        for switch in self.history():
            if _now() - switch.at < GRACE:
                yield switch.after
                if switch.before is not None:
                    yield switch.before

    def _removed(self, number: int) -> bool:
        """Remove a version, unless it has become current meanwhile; whether it was removed."""
        try:
            card = self._versions.fresh_card(number)
        except NoVersion:  # another program removes it
            return False
        self._versions.hide(number)
        if self._remote.state().number == number:
            self._versions.show(number, card)
            return False
        self._versions.delete(number)
        return True


def _now() -> datetime:
    return datetime.now(UTC)
