"""The servers that are measured, and how each is started: a core and a thread for each worker.

Two of them are here, the least that a server in Python can do and the least under uvicorn:
python -m loadtest.target.targets PORT bare|uvicorn
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

Command = Callable[[int], list[str]]  # the port -> the words that start a server on it

MANY, ONE, FEW, CROWD = 64, 1, 8, 256  # connections
PEERS = ("mosec", "litserve", "bentoml", "fastapi")  # names of packages
BATCHING = PEERS[:3]  # their best settings depend on the number of connections
TUNED, TWO = ", tuned for 1", ", 2 workers"  # after the name of a target
# On one core, several threads would only take turns.
ON_ONE_CORE = {"DIGITSERVE_THREADS": "1"}
ECHO = b'{"predictions":[]}'
MODULE = "loadtest.target.targets"


@dataclass(frozen=True)
class Target:
    name: str
    command: Command
    environment: dict[str, str] = field(default_factory=dict)
    connections: tuple[int, ...] = (MANY, ONE)  # that it is measured with
    workers: int = 1  # processes that serve
    reads: bool = True  # its answers name the digit
    prepares: bool = False  # it is also sent drawings that are not of the network's shape
    takes_batches: bool = False  # of the Open Inference Protocol

    @property
    def part(self) -> str:
        """Of the bench, that it belongs to."""
        return self.name.partition(",")[0]

    def with_settings(self, **settings: object) -> "Target":
        """The same target with other settings of the service."""
        more = {f"DIGITSERVE_{name.upper()}": str(value) for name, value in settings.items()}
        return replace(self, environment=self.environment | more)


def echo() -> Target:
    """A protocol on uvloop that answers a constant."""
    return Target("echo", _module(Path(sys.executable), MODULE, "bare"), reads=False)


def uvicorn_echo() -> Target:
    return Target(
        "echo, under uvicorn", _module(Path(sys.executable), MODULE, "uvicorn"), reads=False
    )


def service(models: Path, name: str, settings: dict[str, str]) -> Target:
    """`python -m service`."""
    ours = {
        "DIGITSERVE_HOST": "127.0.0.1",
        "DIGITSERVE_MODELS": str(models.resolve()),
        "DIGITSERVE_MODEL": name,
    }
    return Target(
        "service",
        _service,
        settings | ours,
        connections=(MANY, ONE, FEW, CROWD),
        takes_batches=True,
        prepares=True,
    )


def with_two_workers(target: Target) -> Target:
    """The service with two workers."""
    two = target.with_settings(workers=2)
    return replace(
        two,
        name=f"{target.name}{TWO}",
        connections=(MANY,),
        workers=2,
        takes_batches=False,
        prepares=False,
    )


def peers(venvs: Path, folder: Path) -> list[Target]:
    """Each tuned for many connections, and those that make batches also for a single one."""
    version = {"VERSION_FOLDER": str(folder.resolve())}

    def command(name: str, how: str) -> Command:
        return _module(venvs / name / "bin/python", f"loadtest.bench.peers.with_{name}", how)

    found = []
    for name in PEERS:
        connections = (MANY, ONE, FEW, CROWD) if name == "mosec" else (MANY, ONE)
        found.append(Target(name, command(name, "many"), version, connections, prepares=True))
        if name in BATCHING:
            tuned = connections if name == "mosec" else (ONE,)
            found.append(Target(f"{name}{TUNED}", command(name, "one"), version, tuned))
    two = Target(f"mosec{TWO}", command("mosec", "two"), version, (MANY,), workers=2)
    return [*found, two]


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


class Echo(asyncio.Protocol):
    """Sends the same answer to whatever arrives: a request of these clients is one segment."""

    answer = (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
        % (len(ECHO), ECHO)
    )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(self.answer)


async def bare(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":  # nothing more is imported: the memory of this process is measured
    port, how = sys.argv[1:]
    if how == "bare":
        import uvloop

        uvloop.run(bare(int(port)))
    else:
        import uvicorn

        uvicorn.run(
            echo_app,
            port=int(port),
            loop="uvloop",
            http="httptools",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
        )
