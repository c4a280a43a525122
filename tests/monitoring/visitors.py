"""Everything that can happen to a service, in a short time: what a dashboard must be able to show.

steady      single images, at a rate that rises and falls in waves
several     several images per request, and pixels under /v2
mistaken    blank, invalid, late, uncertain, without a key, to an unknown route
leaving     disconnecting within the body, or before the answer
crowd       more images than the queue holds, for a while in the middle
operator    switches to valid versions, and to an invalid one
"""

import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable
from itertools import cycle

import numpy as np

from loadtest.client.asyncio_client import LOST, Connection
from loadtest.client.result import Address
from tests.support.connection import request
from tests.support.forms import part
from tests.support.pictures import encoded, seven
from tests.support.running import ADMIN, Service

KEY = "a-key-of-sixteen-letters"
LONGEST = 5.0  # seconds for a visit
SCRAPED = 3.0  # seconds in which Prometheus scrapes a service at least once
_OURS = f"X-API-Key: {KEY}"
_ADMIN = f"Authorization: {ADMIN['Authorization']}"
# Takes long enough to decode that it may be late, or its client may disconnect.
_LARGE = encoded(np.kron(seven(), np.ones((19, 19), np.uint8)), "JPEG")
_BLANK = encoded(np.full((28, 28), 255, np.uint8))


def _json(count: int, pixels: object, **parameters: int) -> bytes:
    """A request for some images under /v2."""
    tensor = {"name": "pixels", "datatype": "UINT8", "shape": [count, 28, 28], "data": pixels}
    body = json.dumps({"inputs": [tensor], "parameters": parameters}).encode()
    plain = request(body, _OURS, path="/v2/models/digits/infer")
    return plain.replace(b"image/png", b"application/json", 1)


_MISTAKES = (
    request(_BLANK, _OURS),
    request(b"nonsense", _OURS),
    request(_LARGE, _OURS, "X-Request-Timeout: 0.02"),
    _json(1, [0] * 784, timeout=1),  # microseconds
    request(_BLANK),
    request(_BLANK, "X-API-Key: another-key-of-sixteen"),
    request(_BLANK, _OURS, path="/v1/models/digits/rollback"),
    request(_BLANK, _OURS, path="/v1/predictions"),
)

Visit = Callable[[], Awaitable[None]]


class Visitors:
    def __init__(self, service: Service, pictures: list[bytes], seconds: float) -> None:
        """`pictures` are files of digits; all visitors stop after so many seconds."""
        host, port = service.url.removeprefix("http://").split(":")
        self._address = Address(host, int(port))
        self._pictures = cycle(pictures)
        self._seconds = seconds
        self._began = time.monotonic()
        self._mistakes = cycle(_MISTAKES)

    async def come(self, crowd: int = 0, switches: tuple[tuple[float, str], ...] = ()) -> None:
        """`switches` are paths below that of the model, with fractions of the time to send them."""
        await asyncio.gather(
            *(self._again(self._steady, 0.03) for _ in range(6)),
            self._again(self._several, 0.2),
            self._again(self._mistaken, 0.05),
            self._again(self._leaving, 0.1),
            *(self._again(self._crowding, 0.01, begin=0.5, end=0.62) for _ in range(crowd)),
            self._operator(switches),
        )

    async def _again(self, visit: Visit, pause: float, *, begin: float = 0, end: float = 1) -> None:
        """Repeat between two fractions of the time; pauses grow and shrink three times in total."""
        await asyncio.sleep(begin * self._seconds)
        while (gone := (time.monotonic() - self._began) / self._seconds) < end:
            # Overload and the loss of a worker are part of the scenario.
            try:
                await asyncio.wait_for(visit(), LONGEST)
            except (*LOST, TimeoutError):
                pass
            await asyncio.sleep(pause * (1.3 + math.sin(6 * math.pi * gone)))

    async def _steady(self) -> None:
        """Images over one connection; one in eight has a high threshold."""
        await self._ask(
            *(
                request(
                    next(self._pictures),
                    _OURS,
                    path="/v1/predict" + "?threshold=0.999" * (number == 0),
                )
                for number in range(8)
            )
        )

    async def _several(self) -> None:
        pixels = np.zeros((2, 28, 28), np.uint8)
        pixels[:, 4:24, 12:15] = 255
        await self._ask(self._form(5), self._form(40), _json(2, pixels.tolist()))

    async def _mistaken(self) -> None:
        await self._ask(next(self._mistakes))

    async def _leaving(self) -> None:
        for sent in (request(_LARGE, _OURS)[:-10], request(_LARGE, _OURS), self._form(100)):
            _, writer = await asyncio.open_connection(*self._address)
            writer.write(sent)
            await asyncio.sleep(0.01)  # until the service has received it
            writer.close()

    async def _crowding(self) -> None:
        await self._ask(self._form(128))

    async def _operator(self, switches: tuple[tuple[float, str], ...]) -> None:
        """Each switch waits until Prometheus has had time to scrape the one before."""
        last = -math.inf
        for at, path in switches:
            now = time.monotonic()
            await asyncio.sleep(max(self._began + at * self._seconds, last + SCRAPED) - now)
            await self._ask(request(b"", _ADMIN, path=f"/v1/models/digits/{path}"))
            last = time.monotonic()

    def _form(self, count: int) -> bytes:
        parts = b"".join(part(next(self._pictures)) for _ in range(count)) + b"--x--\r\n"
        plain = request(parts, _OURS)
        return plain.replace(b"image/png", b"multipart/form-data; boundary=x", 1)

    async def _ask(self, *requests: bytes) -> None:
        """Sequentially over a separate connection."""
        connection = await Connection.to(self._address)
        try:
            for each in requests:
                await connection.send(each)
        finally:
            await connection.close()
