"""The committed model version, and a service that serves it, shared by all tests."""

import shutil
import signal
from collections.abc import Iterator

import pytest

from contract.store import Store
from contract.version import Version
from tests.fixtures import MODELS, Judged
from tests.support.running import Service


def pytest_configure() -> None:
    """Ctrl-C reaches the programs that tests start, also if the shell started pytest with `&`."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Version]:
    """A store whose current version is the committed one. Tests that modify it use a copy."""
    models = tmp_path_factory.mktemp("published") / "models"
    shutil.copytree(MODELS, models)
    store = Store(models, "digits")
    return store, store.open()


@pytest.fixture(scope="session")
def version(published: tuple[Store, Version]) -> Version:
    return published[1]


@pytest.fixture(scope="session")
def judged() -> Judged:
    """The test images of the committed version, with the outputs of PyTorch for them."""
    return Judged.load()


@pytest.fixture(scope="session")
def service(published: tuple[Store, Version]) -> Iterator[Service]:
    """A service process with default settings, shared by tests that only send requests to it."""
    store, _ = published
    with Service.started(store.folder.parent) as running:
        yield running
