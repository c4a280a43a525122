"""Stores of one's own, with versions to switch between."""

import shutil
from collections.abc import Callable
from pathlib import Path

from contract import signature
from contract.store import Store
from contract.version import Version

LETTERS = tuple("abcdefghij")


def two_versions(published: tuple[Store, Version], models: Path) -> Store:
    """A store of one's own: 1 is current, 2 says letters instead of digits."""
    shutil.copytree(published[0].folder, models / "digits")
    store = Store(models, "digits")
    publish(store, published[1], labels=LETTERS)
    return store


def publish(
    store: Store,
    version: Version,
    change: Callable[[Path], object] = lambda _: None,
    sign: signature.Sign | None = None,
    **card: object,
) -> int:
    """A new version like `version`, but for what `change` does to its files and for `card`."""
    with store.draft() as draft:
        for name in version.card.files:
            shutil.copy(version.folder / name, draft)
        change(draft)
        return store.publish(draft, version.card.model_copy(update=card), sign).number
