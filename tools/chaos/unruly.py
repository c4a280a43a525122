"""Clients that misbehave for some seconds each; their effects, also on others, are limited."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from random import Random

import cv2
import numpy as np

from tools.chaos.bench import Bench, get, post
from tools.chaos.clients import BOUNDARY, PNG, form
from tools.chaos.history import LOST
from tools.chaos.wire import Lost, Wire

# Any outcome is its own fault, except for 500 and a second answer.
ANYTHING = LOST | {"200", "400", "404", "405", "408", "413", "415", "422", "431", "503", "504"}
FORM = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
Unruly = Callable[[Bench, Random, float], Awaitable[None]]  # until when (time.monotonic)


async def trickle(bench: Bench, random: Random, until: float) -> None:
    """Heads and bodies that arrive a byte at a time."""
    picture = post("/v1/predict", random.choice(bench.sample.pngs), PNG)
    step = random.choice([1, 7])

    async def one() -> None:
        await _exchange("trickle", bench, until, lambda wire: _slowly(wire, picture, step, until))

    await asyncio.gather(*(one() for _ in range(random.randint(20, 80))))


async def flood(bench: Bench, random: Random, until: float) -> None:
    """Kilobytes of pipelined expensive requests."""
    request = get(random.choice(["/metrics", "/openapi.json", "/v1/status"]))
    size = random.randint(30_000, 250_000)

    async def one(wire: Wire) -> None:
        wire.send(request * (size // len(request)))
        await wire.answer(until - time.monotonic())

    for _ in range(random.randint(1, 3)):
        await _exchange("flood", bench, until, one)


async def hang_up(bench: Bench, random: Random, until: float) -> None:
    """Disconnect at every stage: within the head, within the body, before the answer, within it."""
    paths = ("/v1/predict", "/v2/models/digits/infer", "/v1/models/digits/versions/1/predict")
    while time.monotonic() < until and not bench.over.is_set():
        content = post(random.choice(paths), random.choice(bench.sample.pngs), PNG)
        content = content[: random.randint(0, len(content))] if random.random() < 0.7 else content
        try:
            wire = await Wire.open(bench.address)
        except Lost:
            continue
        wire.send(content)
        await asyncio.sleep(random.choice([0, 0, 0.001, 0.01]))
        wire.close(reset=random.random() < 0.5)


async def never_read(bench: Bench, random: Random, until: float) -> None:
    """Connections that send requests and read no answer."""
    request = get(random.choice(["/metrics", "/openapi.json", "/livez"]))

    async def one(wire: Wire) -> None:
        wire.pause()
        wire.send(request * 300)
        await bench.sleep(until - time.monotonic())
        raise Lost("silent")

    count = random.randint(20, 100)
    await asyncio.gather(*(_exchange("never read", bench, until, one) for _ in range(count)))


async def send_damaged(bench: Bench, random: Random, until: float) -> None:
    """Images about which decoders print warnings."""
    files = [*bench.sample.pngs, *_pictures()]

    async def one() -> None:
        while time.monotonic() < until and not bench.over.is_set():
            whole = bytearray(random.choice(files))
            for _ in range(random.randint(1, 8)):
                whole[random.randrange(8, len(whole))] = random.randrange(256)
            content = post("/v1/predict", bytes(whole), PNG)
            await bench.send("damaged", content, expected=ANYTHING)

    await asyncio.gather(*(one() for _ in range(3)))


async def long_heads(bench: Bench, random: Random, until: float) -> None:
    """Heads over the limit, in one piece and in several."""
    head = get("/livez", *(f"X-Long-{number}: {'x' * 500}" for number in range(120)))
    step = random.choice([len(head), 1000, 60])

    async def one() -> None:
        def send(wire: Wire) -> Awaitable[None]:
            return _slowly(wire, head, step, until, 0.005)

        await _exchange("long heads", bench, until, send)

    await asyncio.gather(*(one() for _ in range(random.randint(10, 60))))


async def bombs(bench: Bench, random: Random, until: float) -> None:
    """Small files of many pixels, some of them together in a form."""
    large = random.choice(_pictures())
    body = form([large] * random.randint(2, 24))

    async def one() -> None:
        while time.monotonic() < until and not bench.over.is_set():
            await bench.send("bombs", post("/v1/predict", body, FORM), expected=ANYTHING)

    await asyncio.gather(*(one() for _ in range(2)))


async def bodies(bench: Bench, random: Random, until: float) -> None:
    """Large bodies that are started and not completed."""
    size = random.randint(2_000_000, 9_000_000)
    head = get("/v1/predict", PNG, f"Content-Length: {size}", method="POST")

    async def one(wire: Wire) -> None:
        wire.send(head + bytes(size // 2))
        await wire.answer(until - time.monotonic())

    count = random.randint(5, 25)
    await asyncio.gather(*(_exchange("bodies", bench, until, one) for _ in range(count)))


async def break_bodies(bench: Bench, random: Random, until: float) -> None:
    """Invalid bodies after an early answer: nothing may follow it."""
    begins = [
        get("/livez", "Transfer-Encoding: chunked", method="POST"),
        get("/nowhere", "Transfer-Encoding: chunked", method="POST"),
        get("/v1/models/letters/versions/1/predict", "Transfer-Encoding: chunked", method="POST"),
        get("/v1/predict", "Content-Type: text/plain", "Transfer-Encoding: chunked", method="POST"),
    ]
    while time.monotonic() < until and not bench.over.is_set():
        head = random.choice(begins)

        async def one(wire: Wire, head: bytes = head) -> None:
            wire.send(head + b"3\r\nabc\r\n")
            await wire.answer(until - time.monotonic())
            wire.send(b"no chunk\r\n\r\n")
            await wire.end(1.0)

        await _exchange("broken body", bench, until, one)
        await bench.sleep(random.expovariate(10))


UNRULY: Mapping[str, Unruly] = {
    "trickle": trickle,
    "flood": flood,
    "hang up": hang_up,
    "never read": never_read,
    "damaged": send_damaged,
    "long heads": long_heads,
    "bombs": bombs,
    "bodies": bodies,
    "broken body": break_bodies,
}


async def _exchange(
    name: str, bench: Bench, until: float, talk: Callable[[Wire], Awaitable[None]]
) -> None:
    """The outcome of one connection of such a client."""
    began = time.monotonic()
    wire = None
    outcome, answers = "200", 1
    try:
        wire = await Wire.open(bench.address)
        await talk(wire)
        answers += wire.unasked > 0 and name == "broken body"
    except Lost as lost:
        outcome = str(lost)
    finally:
        if wire is not None:
            wire.close(reset=True)
    bench.record(name, began, outcome, None, expected=ANYTHING, wire=wire, answers=answers)


async def _slowly(wire: Wire, content: bytes, step: int, until: float, pause: float = 0.1) -> None:
    for place in range(0, len(content), step):
        if wire.ended or time.monotonic() > until:
            break
        wire.send(content[place : place + step])
        await asyncio.sleep(pause)
    await wire.answer(max(0.01, until - time.monotonic()))


@cache
def _pictures() -> list[bytes]:
    """Files of 16 megapixels, or with deep or progressive pixels."""
    side = 3_990
    gray = np.zeros((side, side), np.uint8)
    gray[side // 4 : side // 2, side // 3 : side // 2] = 255
    deep = np.zeros((1500, 1500, 4), np.uint16)
    deep[400:900, 500:700] = 65535
    progressive = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    files = [
        cv2.imencode(".png", gray)[1],
        cv2.imencode(".png", deep)[1],
        cv2.imencode(".jpg", gray, progressive)[1],
        cv2.imencode(".webp", gray[:2000, :2000])[1],
    ]
    return [file.tobytes() for file in files]
