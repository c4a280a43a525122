"""What all parts of a run share: the service, the store, the images, the history."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from contract.store import Store
from tools.chaos.history import OK, History, Outcome, Request
from tools.chaos.subject import Subject
from tools.chaos.versions import Sample
from tools.chaos.wire import Answer, Lost, Wire

PATIENCE = 15.0  # seconds that a client waits for an answer
ID = 12  # leading characters of a request id that identify its process


@dataclass
class Bench:
    service: Subject
    store: Store
    sample: Sample
    history: History
    folder: Path  # with the temporary files of the service
    ends: asyncio.Event = field(default_factory=asyncio.Event)  # a signal stopped the service
    over: asyncio.Event = field(default_factory=asyncio.Event)  # the clients have stopped

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.service.url.removeprefix("http://").split(":")
        return host, int(port)

    async def send(
        self,
        client: str,
        content: bytes,
        *,
        expected: frozenset[Outcome] = OK,
        patience: float = PATIENCE,
    ) -> Answer | None:
        """Send one request over a separate connection, and record its outcome."""
        began = time.monotonic()
        wire = answer = None
        try:
            wire = await Wire.open(self.address)
            wire.send(content)
            answer = await wire.answer(patience)
            outcome = str(answer.status)
        except Lost as lost:
            outcome = str(lost)
        finally:
            if wire is not None:
                wire.close()
        self.record(client, began, outcome, answer, expected=expected)
        return answer

    def record(
        self,
        client: str,
        began: float,
        outcome: Outcome,
        answer: Answer | None,
        *,
        expected: frozenset[Outcome] = OK,
        wire: Wire | None = None,
        reused: bool = False,
        version: str = "",
        asked_for: str = "",
        off: float = 0.0,
        answers: int = 1,
    ) -> None:
        self.history.requests.append(
            Request(
                client,
                began,
                time.monotonic(),
                outcome,
                expected,
                process=wire.process if wire else "",
                reused=reused,
                version=version,
                asked_for=asked_for,
                off=off,
                answers=answers,
                retry_after=answer is None or "retry-after" in answer.headers,
                detail=_problem(answer),
            )
        )

    async def sleep(self, seconds: float) -> None:
        """Wait that long or until the run is over."""
        try:
            async with asyncio.timeout(seconds):
                await self.over.wait()
        except TimeoutError:
            pass

    async def until(self, condition: Callable[[], bool | Awaitable[bool]], seconds: float) -> bool:
        """Whether the condition becomes true in this time."""
        end = time.monotonic() + seconds
        while not (now if isinstance(now := condition(), bool) else await now):
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.1)
        return True


def get(path: str, *lines: str, method: str = "GET") -> bytes:
    """A request without a body."""
    head = [f"{method} {path} HTTP/1.1", "Host: chaos", *lines, "", ""]
    return "\r\n".join(head).encode()


def post(path: str, body: bytes, *lines: str) -> bytes:
    return get(path, f"Content-Length: {len(body)}", *lines, method="POST") + body


def _problem(answer: Answer | None) -> str:
    """What is wrong with a response that has no valid prediction."""
    if answer is None or answer.status < 400:
        return ""
    try:
        document = json.loads(answer.body)
    except ValueError:
        return answer.body[:200].decode(errors="replace")
    return str(document.get("detail") or document.get("error"))
