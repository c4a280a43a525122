"""A store of versions to switch between: copies of the current one, which all read the same digits.

The service takes two versions with one and the same card for one and the same model, and then
switching does nothing. So each copy is made a second after the one before, as its card says; the
files that the card vouches for stay as they are.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from loadtest.errors import CannotMeasure

CARD = "card.json"


@contextmanager
def copies(folder: Path, name: str, number: int) -> Iterator[Path]:
    """A store with versions 1 to `number` of the model, all as in `folder`; 1 is current."""
    with TemporaryDirectory(prefix="soak-") as models:
        try:
            for version in range(1, number + 1):
                _copy(folder, Path(models) / name / str(version), later=version - 1)
            (Path(models) / name / "current").write_text("1\n")
        except (OSError, ValueError, KeyError) as error:
            raise CannotMeasure(f"{folder} cannot be copied: {error!r}") from error
        yield Path(models)


def _copy(folder: Path, to: Path, *, later: int) -> None:
    """Made so many seconds later."""
    shutil.copytree(folder, to)
    card = json.loads((to / CARD).read_text())
    created = datetime.fromisoformat(card["created"]) + timedelta(seconds=later)
    (to / CARD).write_text(json.dumps(card | {"created": created.isoformat()}, indent=2) + "\n")
