"""A place for jobs, whose workers end with the test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.retraining.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.close()
