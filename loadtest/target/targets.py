"""The servers that are measured, and how each is started: on one core, with one thread.

One of them is here, the least a Python server can do: python -m loadtest.target.targets PORT
"""

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

Command = Callable[[int], list[str]]  # the port -> the words that start a server on it

MANY, ONE = 64, 1  # connections
PEERS = ("mosec", "litserve", "bentoml", "fastapi")  # names of packages
BATCHING = PEERS[:3]  # their best settings depend on the number of connections
TUNED = ", tuned for 1"  # after the name of a peer
# On one core, several threads would only take turns.
ON_ONE_CORE = {"DIGITSERVE_THREADS": "1"}
ECHO = b'{"predictions":[]}'


@dataclass(frozen=True)
class Target:
    name: str
    command: Command
    environment: dict[str, str] = field(default_factory=dict)
    connections: tuple[int, ...] = ()  # that it is tuned for; none: any number
    reads: bool = True  # its answers name the digit
    takes_batches: bool = False  # of the Open Inference Protocol

    def with_settings(self, **settings: object) -> "Target":
        """The same target with other settings of the service."""
        more = {f"DIGITSERVE_{name.upper()}": str(value) for name, value in settings.items()}
        return replace(self, environment=self.environment | more)


def echo() -> Target:
    return Target("echo", _module(Path(sys.executable), "loadtest.target.targets"), reads=False)


def service(models: Path, name: str, settings: dict[str, str]) -> Target:
    """`python -m service`."""
    ours = {
        "DIGITSERVE_HOST": "127.0.0.1",
        "DIGITSERVE_MODELS": str(models.resolve()),
        "DIGITSERVE_MODEL": name,
    }
    return Target("service", _service, settings | ours, takes_batches=True)


def peers(venvs: Path, folder: Path) -> list[Target]:
    """Each tuned for many connections, and those that make batches also for a single one."""
    version = {"VERSION_FOLDER": str(folder.resolve())}

    def command(name: str, how: str) -> Command:
        return _module(venvs / name / "bin/python", f"loadtest.bench.peers.with_{name}", how)

    found = []
    for name in PEERS:
        found.append(Target(name, command(name, "many"), version))
        if name in BATCHING:
            found.append(Target(f"{name}{TUNED}", command(name, "one"), version, (ONE,)))
    return found


def _service(port: int) -> list[str]:
    return ["/usr/bin/env", f"DIGITSERVE_PORT={port}", sys.executable, "-m", "service"]


def _module(python: Path, module: str, *words: str) -> Callable[[int], list[str]]:
    return lambda port: [str(python), "-m", module, str(port), *words]


async def echo_app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Read the body and send the same answer to every request.

    What a service costs above this, its own code costs.
    """
    while (await receive()).get("more_body"):
        pass
    length = b"%d" % len(ECHO)
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ECHO})


if __name__ == "__main__":
    import uvicorn  # only here, and nothing else: the memory of this process is measured

    uvicorn.run(
        echo_app,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
    )
