"""What is to go from a model's folder: pruned versions, and what killed writers left."""

import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from contract.files import confirm

DRAFT, PRUNED = ".draft-", ".pruned-"  # what their folders' names begin with
ABANDONED = 24 * 3600.0  # seconds after which nobody writes a draft any more


def remove(folder: Path, numbers: Iterable[int]) -> None:
    """Remove these versions, first out of sight, whole, then for good; and all that was left."""
    for number in numbers:
        (folder / str(number)).rename(folder / f"{PRUNED}{number}-{secrets.token_hex(4)}")
    for rest in _rests(folder):
        shutil.rmtree(rest)
    confirm(folder)


def _rests(folder: Path) -> Iterator[Path]:
    """What was pruned, and drafts whose writer was killed."""
    last_alive = time.time() - ABANDONED
    for path in folder.iterdir():
        if path.name.startswith(PRUNED):
            yield path
        elif path.name.startswith(DRAFT):
            with suppress(FileNotFoundError):  # it has just been published
                if path.stat().st_mtime < last_alive:
                    yield path
