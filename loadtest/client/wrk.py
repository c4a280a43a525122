"""wrk as the client: in C, so one core of it keeps a server's core busy, and more than one.

Its times count a slow answer as often as others would have fitted into it, so a p99 under a full
load is rather too high than too low; and it runs whole seconds.
"""

import json
import math
import resource
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from loadtest.client.result import Address, Load
from loadtest.host.processes import run

SCRIPT = Path(__file__).with_name("wrk.lua")


def path_of_wrk() -> str | None:
    return shutil.which("wrk")


def run_load(
    address: Address, requests: list[bytes], *, connections: int, seconds: float, threads: int = 1
) -> Load:
    before = _cpu_of_children()
    with TemporaryDirectory() as folder:
        words = command(
            address,
            requests,
            Path(folder),
            connections=connections,
            seconds=seconds,
            threads=threads,
        )
        done = run(*words)
    return parse(done.stdout, connections=connections, client_cpu=_cpu_of_children() - before)


def command(
    address: Address,
    requests: list[bytes],
    folder: Path,
    *,
    connections: int,
    seconds: float,
    threads: int = 1,
) -> list[str]:
    """The words that start wrk, which reads the requests from files in `folder`."""
    paths = [folder / f"{number}.http" for number in range(len(requests))]
    for path, request in zip(paths, requests, strict=True):
        path.write_bytes(request)
    words = [path_of_wrk() or "wrk", f"-t{threads}", f"-c{connections}"]
    words += [f"-d{max(1, math.ceil(seconds))}s", "--timeout", "30s", "-s", str(SCRIPT)]
    return [*words, str(address), "--", *map(str, paths)]


def parse(output: str, *, connections: int, client_cpu: float) -> Load:
    """The last line, in which wrk.lua writes its numbers."""
    numbers: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    times = ("p50", "p99", "slowest")
    return Load(
        connections=connections,
        seconds=numbers["microseconds"] / 1e6,
        client_cpu=client_cpu,
        **{name: numbers[name] for name in ("answers", "refused", "broken")},
        **{name: numbers[name] / 1e6 for name in times},
    )


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
