"""The servers that are measured, and how each is started: on one core, with one thread."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from loadtest.client.result import ONE

Command = Callable[[int], list[str]]  # the port -> the words that start a server on it

PEERS = ("mosec", "litserve", "bentoml", "fastapi")  # as packages are called
BATCHING = PEERS[:3]  # what is best for many connections is not for one
TUNED = ", tuned for 1"  # after the name of a peer that is
# On one core more threads than one would only take turns.
ON_ONE_CORE = {"DIGITSERVE_THREADS": "1"}


@dataclass(frozen=True)
class Target:
    name: str
    command: Command
    environment: dict[str, str] = field(default_factory=dict)
    connections: tuple[int, ...] = ()  # it is made for; none: for any number
    reads: bool = True  # it says what digit it sees
    takes_batches: bool = False  # of the Open Inference Protocol

    def with_settings(self, **settings: object) -> "Target":
        """The service with other settings than it would have."""
        more = {f"DIGITSERVE_{name.upper()}": str(value) for name, value in settings.items()}
        return replace(self, environment=self.environment | more)


def echo() -> Target:
    return Target("echo", _module(Path(sys.executable), "loadtest.target.echo"), reads=False)


def service(models: Path, name: str, settings: dict[str, str]) -> Target:
    """`python -m service`."""
    ours = {
        "DIGITSERVE_HOST": "127.0.0.1",
        "DIGITSERVE_MODELS": str(models.resolve()),
        "DIGITSERVE_MODEL": name,
    }
    return Target("service", _service, settings | ours, takes_batches=True)


def peers(venvs: Path, folder: Path) -> list[Target]:
    """Each as one would run it, best for many connections, and tuned for a single one too."""
    version = {"VERSION_FOLDER": str(folder.resolve())}

    def command(name: str, how: str) -> Command:
        return _module(python_of(venvs, name), f"loadtest.bench.peers.with_{name}", how)

    found = []
    for name in PEERS:
        found.append(Target(name, command(name, "many"), version))
        if name in BATCHING:
            found.append(Target(f"{name}{TUNED}", command(name, "one"), version, (ONE,)))
    return found


def python_of(venvs: Path, peer: str) -> Path:
    return venvs / peer / "bin/python"


def _service(port: int) -> list[str]:
    return ["/usr/bin/env", f"DIGITSERVE_PORT={port}", sys.executable, "-m", "service"]


def _module(python: Path, module: str, *words: str) -> Callable[[int], list[str]]:
    return lambda port: [str(python), "-m", module, str(port), *words]
