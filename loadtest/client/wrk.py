"""wrk as the client: in C, so one core of it keeps a server's core busy, and more than one.

Its times count a slow answer as often as others would have fitted into it, so a p99 under a full
load is rather too high than too low; and it runs whole seconds.
"""

import json
import math
import resource
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from loadtest.client.result import Address, Load
from loadtest.errors import CannotMeasure

SCRIPT = Path(__file__).with_name("wrk.lua")


def path_of_wrk() -> str | None:
    return shutil.which("wrk")


def run_load(
    address: Address, requests: list[bytes], *, connections: int, seconds: float, threads: int = 1
) -> Load:
    before = _cpu_of_children()
    with TemporaryDirectory() as folder:
        process = subprocess.Popen(  # noqa: S603
            command(
                address,
                requests,
                Path(folder),
                connections=connections,
                seconds=seconds,
                threads=threads,
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        output, _ = process.communicate()
    if process.returncode:
        raise CannotMeasure(f"wrk ended with {process.returncode}: {output.strip()}")
    return parse(output, connections=connections, client_cpu=_cpu_of_children() - before)


def command(
    address: Address,
    requests: list[bytes],
    folder: Path,
    *,
    connections: int,
    seconds: float,
    threads: int = 1,
) -> list[str]:
    """The words that start wrk; leaves the requests in `folder` for it to read."""
    paths = []
    for number, request in enumerate(requests):
        path = folder / f"{number}.http"
        path.write_bytes(request)
        paths.append(str(path))
    length = f"-d{max(1, math.ceil(seconds))}s"
    words = [path_of_wrk() or "wrk", f"-t{threads}", f"-c{connections}", length]
    return [*words, "--timeout", "30s", "-s", str(SCRIPT), str(address), "--", *paths]


def parse(output: str, *, connections: int, client_cpu: float) -> Load:
    """What wrk.lua wrote under wrk's own words."""
    output_fields: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return Load(
        connections=connections,
        seconds=output_fields["microseconds"] / 1e6,
        answers=output_fields["answers"],
        refused=output_fields["refused"],
        broken=output_fields["broken"],
        p50=output_fields["p50"] / 1e6,
        p99=output_fields["p99"] / 1e6,
        slowest=output_fields["slowest"] / 1e6,
        client_cpu=client_cpu,
    )


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
