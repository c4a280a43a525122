"""The objects of a model's versions in a bucket.

digits/3/.reserved     taken by the program that publishes version 3
         card.json     written last: without it there is no version
         model.onnx, ...
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from contract.bucket import Bucket
from contract.card import BadCard, FileFacts, ModelCard, NewerCard
from contract.current import NUMBER
from contract.errors import BrokenVersion, MissingObject, NewerVersion, NoVersion
from contract.files import write_through
from contract.version import CARD, LARGEST_CARD, SIGNATURE

RESERVED = ".reserved"


class RemoteVersions:
    def __init__(self, bucket: Bucket, place: str, name: str) -> None:
        """`place` is the URL of the model, for messages."""
        self._bucket, self._place, self._name = bucket, place, name
        self._cards: dict[int, bytes] = {}  # cards never change

    def objects(self) -> dict[int, dict[str, datetime]]:
        """Files of each version and when they were written, by number.

        Also of versions that are being published.
        """
        found: dict[int, dict[str, datetime]] = {}
        for key, written in self._bucket.keys(self._name):
            _, _, path = key.partition("/")
            number, _, name = path.partition("/")
            if re.fullmatch(NUMBER, number):
                found.setdefault(int(number), {})[name] = written
        return dict(sorted(found.items()))

    # ---- cards --------------------------------------------------------------------------------

    def card(self, number: int) -> bytes:
        """The content of a version's card; NoVersion if there is none."""
        if number not in self._cards:
            self._cards[number] = self.fresh_card(number)
        return self._cards[number]

    def fresh_card(self, number: int) -> bytes:
        """The same, read from the bucket."""
        try:
            return self._bucket.get(self._key(number, CARD), LARGEST_CARD).content
        except MissingObject as error:
            self._cards.pop(number, None)
            raise NoVersion(f"{self._place}/{number} does not exist") from error

    def parsed(self, number: int, content: bytes) -> ModelCard:
        path = f"{self._place}/{number}/{CARD}"
        try:
            return ModelCard.from_json(content)
        except NewerCard as error:
            raise NewerVersion(f"{path}: {error}") from error
        except BadCard as error:
            raise BrokenVersion(f"{path} is not a model card: {error}") from error

    # ---- files --------------------------------------------------------------------------------

    def read(self, number: int, name: str, most: int) -> bytes:
        """A file of at most `most` bytes that is on the card."""
        with _on_the_card():
            return self._bucket.get(self._key(number, name), most).content

    def download(self, number: int, name: str, facts: FileFacts, folder: Path) -> None:
        """Copy a file that is on the card into a folder, and verify it."""
        with _on_the_card():
            self._bucket.download(self._key(number, name), folder / name, facts)

    def copy_card(self, number: int, content: bytes, folder: Path) -> None:
        """Write the card, and its signature if there is one, into a folder."""
        write_through(folder / CARD, content)
        with suppress(MissingObject):
            signature = self._bucket.get(self._key(number, SIGNATURE), LARGEST_CARD)
            write_through(folder / SIGNATURE, signature.content)

    # ---- writing ------------------------------------------------------------------------------

    def publish(self, draft: Path, number: int) -> bool:
        """Upload the files of a draft as that version; False if the number is taken."""
        content = (draft / CARD).read_bytes()
        reservation = datetime.now(UTC).isoformat().encode()
        if not self._bucket.create(self._key(number, RESERVED), reservation):
            return False
        paths = [path for path in sorted(draft.iterdir()) if path.name != CARD]
        self._bucket.upload({self._key(number, path.name): path for path in paths})
        key = self._key(number, CARD)
        # A request that was repeated may have failed on its own success.
        created = self._bucket.create(key, content)
        if not created and self._bucket.get(key, LARGEST_CARD).content != content:
            return False
        self._cards[number] = content
        return True

    def hide(self, number: int) -> None:
        """Remove the card, without which readers see no version."""
        self._bucket.delete([self._key(number, CARD)])

    def show(self, number: int, card: bytes) -> None:
        self._bucket.create(self._key(number, CARD), card)

    def delete(self, number: int, names: Iterable[str] | None = None) -> None:
        """Delete those files of a version, or all of them."""
        self._cards.pop(number, None)
        if names is None:
            keys = [key for key, _ in self._bucket.keys(f"{self._name}/{number}")]
        else:
            keys = [self._key(number, name) for name in names]
        self._bucket.delete(keys)

    # ---- steps --------------------------------------------------------------------------------

    def _key(self, number: int, name: str) -> str:
        return f"{self._name}/{number}/{name}"


@contextmanager
def _on_the_card() -> Iterator[None]:
    try:
        yield
    except MissingObject as error:
        raise BrokenVersion(f"{error}, but it is on the card") from error
