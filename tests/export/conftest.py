"""A version exported in this session, and labels of a foreign model, for the tests of export."""

from pathlib import Path

import pytest

from contract.store import Store
from contract.version import Version
from export.export import export
from tests.export.foreign import LABELS
from tests.training.conftest import made_once, run, small_data, small_folder
from training.run import Run

__all__ = ["run", "small_data", "small_folder"]


@pytest.fixture(scope="session")
def published(run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Version]:
    """A store whose current version came from `run`. Tests that modify it use a copy."""
    models = made_once(
        tmp_path_factory, "models", lambda models: export(run, Store(models, "digits"))
    )
    store = Store(models, "digits")
    return store, store.open()


@pytest.fixture(scope="session")
def version(published: tuple[Store, Version]) -> Version:
    """Overrides the session fixture of tests/conftest.py, which is created once for all tests."""
    return published[1]


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(LABELS) + "\n")
    return path
