"""Switch versions under load, and compare every answer with those of its version.

    python -m tools.swap [--seconds 60] [--every 5] [--connections 64] [--longer 0.1]

Publishes the current version three times with three temperatures, so that the probabilities
identify each, starts `python -m service` on them and posts test digits over many connections while
the versions are activated in turn, with a rollback after each round. Checks that

* no request fails,
* every answer is that of the version it names, to 1e-4,
* that version was current at some time between the start of the request and its answer,
* with --longer, no request that overlaps a switch takes that many seconds longer than 99 % of those
  that do not. This needs an idle machine: any delay of the machine looks the same.

Prints the measurements and exits with 1 if one of these does not hold.
"""

import asyncio
import bisect
import json
import math
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from contract.command_line import program
from contract.store import Store
from contract.version import Version
from loadtest.client.requests import SampleImages
from service.engine.engine import Engine
from tests.support.running import Service
from tests.support.versions import publish, warmer

TOKEN = "only-for-this-test-of-switching"
VERSIONS = (1, 2, 3)
FIRST = "3"  # the version that is current before the first switch


@dataclass(frozen=True)
class Answered:
    began: float
    ended: float
    status: int
    version: str
    off: float  # difference from the probabilities of this version


@dataclass(frozen=True)
class Switched:
    began: float
    ended: float
    version: str


@dataclass(frozen=True)
class Judged:
    failed: dict[int, int]  # answers by status, other than 200
    wrong: int  # answers that differ from those of the version they name
    stale: int  # answers of a version that was not current
    meeting: list[float]  # seconds of requests that overlapped a switch
    others: list[float]  # seconds of the others


def main() -> int:
    parser = program("tools.swap", __doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--every", type=float, default=5, help="seconds between two switches")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--longer", type=float, default=math.inf, help="seconds")
    arguments = parser.parse_args()
    version = Store(arguments.models, "digits").open()
    pixels = SampleImages.of_current(arguments.models, "digits").pixels
    with TemporaryDirectory() as folder:
        store = versions_of(version, Path(folder))
        expected = expected_of(store, pixels)
        with Service.started(store.folder.parent, admin_token=TOKEN) as service:
            answers, switches = asyncio.run(
                load(
                    service,
                    pixels,
                    expected,
                    arguments.seconds,
                    arguments.every,
                    connections=arguments.connections,
                )
            )
    judged = judge(answers, switches)
    report(answers, switches, judged)
    late = max(judged.meeting) > float(np.quantile(judged.others, 0.99)) + arguments.longer
    return int(bool(judged.failed or judged.wrong or judged.stale or late))


def versions_of(version: Version, folder: Path) -> Store:
    """Three versions with the same predictions at different levels of confidence; 3 is current."""
    store = Store(folder / "models", "digits")
    for number in VERSIONS:
        factor = 1 + number / 4
        publish(store, version, warmer(factor), temperature=version.card.temperature * factor)
    store.activate(int(FIRST))
    return store


def expected_of(store: Store, pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """The answers of each of VERSIONS: its name -> probabilities (n, labels)."""
    return {
        str(number): Engine(store.open(number), provider="cpu", threads=1)(pixels).probabilities
        for number in VERSIONS
    }


async def load(
    service: Service,
    pixels: NDArray[np.uint8],
    expected: dict[str, NDArray[np.float32]],
    seconds: float,
    every: float,
    *,
    connections: int,
) -> tuple[list[Answered], list[Switched]]:
    host, port = service.url.removeprefix("http://").split(":")
    requests = [
        _request("/v1/predict", cv2.imencode(".png", picture)[1].tobytes()) for picture in pixels
    ]
    answers: list[Answered] = []
    switches: list[Switched] = []
    end = time.monotonic() + seconds

    async def client(first: int) -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        index = first
        while time.monotonic() < end:
            index = (index + 1) % len(requests)
            began = time.monotonic()
            status, body = await _send(reader, writer, requests[index])
            ended = time.monotonic()
            version = body.get("model", {}).get("version", "")
            off = float("inf")
            if version in expected:
                given = body["predictions"][0]["probabilities"]
                off = float(np.abs(np.array(given) - expected[version][index]).max())
            answers.append(Answered(began, ended, status, version, off))
        writer.close()

    async def switcher() -> None:
        for path in cycle((*(f"versions/{n}/activate" for n in (1, 2, 3)), "rollback")):
            if time.monotonic() + every > end:
                break
            await asyncio.sleep(every)
            reader, writer = await asyncio.open_connection(host, int(port))
            began = time.monotonic()
            status, body = await _send(reader, writer, _request(f"/v1/models/digits/{path}", b""))
            assert status == 200, body
            switches.append(Switched(began, time.monotonic(), body["model"]["version"]))
            writer.close()

    await asyncio.gather(*(client(7 * number) for number in range(connections)), switcher())
    return answers, switches


def judge(answers: list[Answered], switches: list[Switched]) -> Judged:
    meeting: list[float] = []
    others: list[float] = []
    for answer in answers:
        met = any(each.began < answer.ended and answer.began < each.ended for each in switches)
        (meeting if met else others).append(answer.ended - answer.began)
    good = [answer for answer in answers if answer.status == 200]
    return Judged(
        failed=Counter(answer.status for answer in answers if answer.status != 200),
        wrong=sum(answer.off > 1e-4 for answer in good),
        stale=sum(
            answer.version not in _current_between(answer.began, answer.ended, switches)
            for answer in good
        ),
        meeting=meeting,
        others=others,
    )


def report(answers: list[Answered], switches: list[Switched], judged: Judged) -> None:
    span = answers[-1].ended - answers[0].began
    by_version = dict(sorted(Counter(answer.version for answer in answers).items()))
    took = [each.ended - each.began for each in switches]
    print(
        f"{len(answers):,} answers in {span:.0f} s ({len(answers) / span:,.0f} a second), "
        f"{len(switches)} switches; answers by version: {by_version}\n"
        f"failed: {dict(judged.failed) or 0}; not what their version answers: {judged.wrong}; "
        f"of a version that was not current: {judged.stale}\n"
        f"a switch took {_ms(statistics.median(took))} (median), {_ms(max(took))} (longest)\n"
        f"requests that met none: {_times(judged.others)}\n"
        f"requests that met one:  {_times(judged.meeting)}"
    )


def _current_between(began: float, ended: float, switches: list[Switched]) -> set[str]:
    """Versions that were current at some time in between; during a switch, either may be."""
    last_done = bisect.bisect([each.ended for each in switches], began)
    begun = bisect.bisect([each.began for each in switches], ended)
    before = switches[last_done - 1].version if last_done else FIRST
    return {before, *(each.version for each in switches[last_done:begun])}


def _request(path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: service\r\nContent-Type: image/png\r\n"
        f"Authorization: Bearer {TOKEN}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _send(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[int, dict[str, Any]]:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    return int(head[9:12]), json.loads(await reader.readexactly(length))


def _times(seconds: list[float]) -> str:
    return (
        f"median {_ms(statistics.median(seconds))}, 99 % within "
        f"{_ms(float(np.quantile(seconds, 0.99)))}, slowest {_ms(max(seconds))}"
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"


if __name__ == "__main__":
    sys.exit(main())
