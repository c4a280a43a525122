"""Well-behaved clients of every kind, which compare each answer with that of the version."""

import asyncio
import base64
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from tests.support.running import TOKEN
from tools.chaos.bench import ID, PATIENCE, Bench, get, post
from tools.chaos.history import OK, Outcome
from tools.chaos.versions import Sample
from tools.chaos.wire import Answer, Lost, Wire

PAUSE = 0.25  # mean of the seconds between two requests of a client
PNG = "Content-Type: image/png"
JSON = "Content-Type: application/json"
INFER = "/v2/models/digits/infer"
BOUNDARY = "chaos-boundary"
# The deadline of a client passes, or cannot be met.
OWN_DEADLINE = OK | {"503", "504"}
# A version that does not serve is pruned or damaged, or memory or time to load it are short.
NOT_LOADED = OK | {"404", "409", "503", "504"}


@dataclass(frozen=True)
class Prediction:
    """A request, with what is needed to check its answer."""

    content: bytes
    pictures: list[int]
    read: Callable[[Answer], tuple[str, Any]]  # the version that answered, and its probabilities
    expected: frozenset[Outcome] = OK
    asked_for: str = ""  # the requested version, or "" for the current one


# ---- requests ------------------------------------------------------------------------------------


def png(sample: Sample, random: Random, *lines: str) -> Prediction:
    picture = random.randrange(len(sample.pngs))
    content = post("/v1/predict", sample.pngs[picture], PNG, *lines)
    return Prediction(content, [picture], _predictions)


def base64_json(sample: Sample, random: Random) -> Prediction:
    pictures = _some(sample, random, 4)
    texts = [base64.b64encode(sample.pngs[each]).decode() for each in pictures]
    body = json.dumps({"images": texts} if len(texts) > 1 else {"image": texts[0]}).encode()
    return Prediction(post("/v1/predict", body, JSON), pictures, _predictions)


def multipart(sample: Sample, random: Random, most: int = 4) -> Prediction:
    pictures = _some(sample, random, most)
    body = form([sample.pngs[each] for each in pictures])
    kind = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
    return Prediction(post("/v1/predict", body, kind), pictures, _predictions)


def form(files: Sequence[bytes]) -> bytes:
    head = 'Content-Disposition: form-data; name="image"; filename="digit.png"'
    parts = [f"--{BOUNDARY}\r\n{head}\r\n{PNG}\r\n\r\n".encode() + file + b"\r\n" for file in files]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def batch(sample: Sample, random: Random) -> Prediction:
    return multipart(sample, random, 48)


def tensor(sample: Sample, random: Random) -> Prediction:
    pictures = _some(sample, random, 4)
    pixels = sample.pixels[pictures]
    tensor = {"name": "pixels", "shape": [*pixels.shape], "datatype": "UINT8"}
    outputs = [{"name": "probabilities"}]
    body = {"inputs": [tensor | {"data": pixels.ravel().tolist()}], "outputs": outputs}
    return Prediction(post(INFER, json.dumps(body).encode(), JSON), pictures, _tensors)


def binary(sample: Sample, random: Random) -> Prediction:
    pictures = _some(sample, random, 8)
    pixels = sample.pixels[pictures]
    size = {"binary_data_size": pixels.size}
    tensor = {"name": "pixels", "shape": pixels.shape, "datatype": "UINT8", "parameters": size}
    outputs = [{"name": "probabilities", "parameters": {"binary_data": True}}]
    head = json.dumps({"inputs": [tensor], "outputs": outputs}).encode()
    kind = (
        "Content-Type: application/octet-stream",
        f"Inference-Header-Content-Length: {len(head)}",
    )
    return Prediction(post(INFER, head + pixels.tobytes(), *kind), pictures, _binary)


def chunked(sample: Sample, random: Random) -> Prediction:
    picture = random.randrange(len(sample.pngs))
    rest = sample.pngs[picture]
    content = get("/v1/predict", PNG, "Transfer-Encoding: chunked", method="POST")
    while rest:
        size = random.randint(1, len(rest))
        content += b"%x\r\n%b\r\n" % (size, rest[:size])
        rest = rest[size:]
    return Prediction(content + b"0\r\n\r\n", [picture], _predictions)


def hurried(sample: Sample, random: Random) -> Prediction:
    made = png(sample, random, f"X-Request-Timeout: {random.uniform(0.005, 0.3):.3f}")
    return Prediction(made.content, made.pictures, made.read, OWN_DEADLINE)


def damaged(sample: Sample, random: Random) -> Prediction:
    """An image that is truncated in its first half."""
    whole = random.choice(sample.pngs)
    body = whole[: random.randint(len(whole) // 4, len(whole) // 2)]
    return Prediction(post("/v1/predict", body, PNG), [], _predictions, frozenset({"422"}))


def by_version(sample: Sample, random: Random) -> Prediction:
    """For a version that need not be current: it may be loaded for this, which may be rejected."""
    picture, version = random.randrange(len(sample.pngs)), random.choice([*sample.expected])
    path = f"/v1/models/digits/versions/{version}/predict"
    content = post(path, sample.pngs[picture], PNG, f"Authorization: Bearer {TOKEN}")
    return Prediction(content, [picture], _predictions, NOT_LOADED, version)


def _some(sample: Sample, random: Random, most: int) -> list[int]:
    return [random.randrange(len(sample.pngs)) for _ in range(random.randint(1, most))]


# ---- answers -------------------------------------------------------------------------------------


def _predictions(answer: Answer) -> tuple[str, Any]:
    document = json.loads(answer.body)
    rows = [each["probabilities"] for each in document["predictions"]]
    return document["model"]["version"], rows


def _tensors(answer: Answer) -> tuple[str, Any]:
    document = json.loads(answer.body)
    (output,) = document["outputs"]
    return document["model_version"], np.reshape(output["data"], output["shape"])


def _binary(answer: Answer) -> tuple[str, Any]:
    length = int(answer.headers["inference-header-content-length"])
    document = json.loads(answer.body[:length])
    (output,) = document["outputs"]
    values = np.frombuffer(answer.body[length:], np.float32)
    return document["model_version"], values.reshape(output["shape"])


# ---- clients -------------------------------------------------------------------------------------

Make = Callable[[Sample, Random], Prediction]


@dataclass(frozen=True)
class Kind:
    make: Make
    keeps: bool = True  # of its connection
    pipelined: int = 1  # maximum number of requests sent before the first answer
    pieces: int = 1  # maximum number of segments in which they are sent


KINDS = {
    "png": Kind(png),
    "png, one each": Kind(png, keeps=False),
    "png, one each, again": Kind(png, keeps=False),
    "json": Kind(base64_json),
    "multipart": Kind(multipart),
    "batch": Kind(batch, keeps=False),
    "tensor": Kind(tensor),
    "binary": Kind(binary),
    "pipelined": Kind(png, pipelined=6),
    "pipelined in pieces": Kind(png, pipelined=4, pieces=9),
    "chunked": Kind(chunked),
    "chunked in pieces": Kind(chunked, pieces=6),
    "pieces": Kind(multipart, pieces=6),
    "hurried": Kind(hurried),
    "by version": Kind(by_version),
    "damaged picture": Kind(damaged),
}


async def run_client(name: str, kind: Kind, bench: Bench, random: Random) -> None:
    wire: Wire | None = None
    while not bench.over.is_set():
        if wire is not None and (wire.ended or not kind.keeps):
            wire.close()
            wire = None
        wire = await _turn(name, kind, bench, random, wire)
        await bench.sleep(random.expovariate(1 / PAUSE))
    if wire is not None:
        wire.close()


async def _turn(
    name: str, kind: Kind, bench: Bench, random: Random, wire: Wire | None
) -> Wire | None:
    """Send some requests and check their answers; return the connection if it can be reused."""
    made = [kind.make(bench.sample, random) for _ in range(random.randint(1, kind.pipelined))]
    content = b"".join(each.content for each in made)
    cuts = sorted(random.randrange(len(content)) for _ in range(random.randint(1, kind.pieces) - 1))
    began = time.monotonic()
    reused, waiting = wire is not None, list(made)
    if wire is not None and wire.unasked:
        bench.record(name, began, "200", None, wire=wire, answers=2)
    try:
        if wire is None:
            wire = await Wire.open(bench.address)
        for since, until in zip([0, *cuts], [*cuts, len(content)], strict=True):
            wire.send(content[since:until])
            if until < len(content):
                await asyncio.sleep(random.uniform(0, 0.03))
        while waiting:
            answer = await wire.answer(PATIENCE)
            prediction = waiting.pop(0)
            wire.process = wire.process or answer.headers.get("x-request-id", "")[:ID]
            # Nothing may follow the last answer.
            answers = 1 if waiting or not wire.unasked else 2
            judged = _judged(bench.sample, prediction, answer)
            bench.record(
                name, began, str(answer.status), answer, expected=prediction.expected, wire=wire,
                reused=reused, version=judged[0], asked_for=prediction.asked_for, off=judged[1],
                answers=answers,
            )  # fmt: skip
            reused = True
            if answer.closes and waiting:
                raise Lost("not taken")
            if answer.closes:
                wire.close()
                return None
    except Lost as lost:
        for prediction in waiting:
            bench.record(
                name, began, str(lost), None, expected=prediction.expected, wire=wire, reused=reused
            )
        if wire is not None:
            wire.close()
        await bench.sleep(0.1)  # if connections are refused, as at the end
        return None
    return wire


def _judged(sample: Sample, prediction: Prediction, answer: Answer) -> tuple[str, float]:
    """The version that answered, and the largest difference: inf for an unreadable answer."""
    if answer.status != 200:
        return "", 0.0
    try:
        version, given = prediction.read(answer)
        off = sample.off(version, prediction.pictures, given) if version in sample.expected else 0.0
    except (KeyError, ValueError, TypeError):
        return "1", float("inf")
    return version, off


async def run_catalog(bench: Bench, random: Random) -> None:
    """Reads the catalog of the store."""
    paths = [
        "/v1/models",
        "/v1/models/digits",
        *(f"/v1/models/digits/versions/{n}" for n in (1, 2)),
    ]
    while not bench.over.is_set():
        await bench.send("catalog", get(random.choice(paths), "Connection: close"))
        await bench.sleep(random.expovariate(1 / (4 * PAUSE)))
