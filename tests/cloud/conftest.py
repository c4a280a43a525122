"""An object store that runs on this machine, and what uses it.

`make test-cloud` runs the tests of this folder: they start programs that pip and npm install.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract.location import location_of
from contract.settings import Access
from contract.store import Store, open_store
from tests.cloud.emulators import EMULATORS, Emulator, Seaweed


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Emulator]]:
    """The emulator of that name, started at its first use."""
    started: dict[str, Emulator] = {}

    def emulator(name: str) -> Emulator:
        if name not in started:
            started[name] = EMULATORS[name](tmp_path_factory.mktemp(name))
            started[name].wait_until_ready()
        return started[name]

    yield emulator
    for each in started.values():
        each.process.kill()
        each.exit_code()


@pytest.fixture(params=EMULATORS)
def emulator(
    running: Callable[[str], Emulator],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Emulator:
    """With the variables that programs need to write to it."""
    emulator = running(request.param)
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    return emulator


@pytest.fixture
def seaweed(running: Callable[[str], Emulator], monkeypatch: pytest.MonkeyPatch) -> Seaweed:
    emulator = running("SeaweedFS")
    assert isinstance(emulator, Seaweed)
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    return emulator


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    """Of a store that no other test uses."""
    used = "emulator" if "emulator" in request.fixturenames else "seaweed"
    emulator: Emulator = request.getfixturevalue(used)
    return f"{emulator.store}/{abs(hash(request.node.nodeid))}"


@pytest.fixture
def machine(url: str, tmp_path: Path) -> Callable[[str], Store]:
    """The store as seen by a machine: each has a cache of its own."""

    def store(name: str = "one") -> Store:
        access = Access(cache=tmp_path / name, timeout=20, allow_http=True)
        return open_store(location_of(url), "digits", access=access)

    return store
