"""The requests of each kind of user, made of test digits, and what must come back.

png     the file itself            jpeg    a drawing of it, some hundred pixels wide
form    multipart, four files      json    base64, or a data URL
binary  Open Inference Protocol: 784 bytes behind a JSON header, and so is the answer
wrong   what must be refused, each with the status that says why
"""

import json
import random
from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import NamedTuple, Self

from PIL import Image, ImageOps

from loadtest.users.checks import HEAD, Check, inferred, predicted

PREDICT = "/v1/predict"
INFER = "/v2/models/{model}/infer"
SAMPLES = "/v1/samples/random"
CANVAS = 200, 360  # pixels, least and most
SIZE = 0.5, 0.85  # of the canvas, that the digit's own square takes
PAPER, INK = (225, 255), (0, 60)  # shades of gray
EDGE = 96  # ink that belongs to a stroke, of 255
QUALITY = 85
FILES = 4  # of a form
BOUNDARY = "a-boundary-that-no-picture-holds"
OCTETS = "application/octet-stream"


class Request(NamedTuple):
    name: str  # in locust's statistics
    path: str
    headers: dict[str, str]
    body: bytes
    status: int = 200
    check: Check | None = None  # of an answer with that status
    method: str = "POST"


def headers_of(kind: str, **more: str) -> dict[str, str]:
    """Of a body; answers of 400 bytes are not worth compressing."""
    named = {name.replace("_", "-"): value for name, value in more.items()}
    return {"Content-Type": kind, "Accept-Encoding": "identity"} | named


class Digit(NamedTuple):
    number: int  # in the test set
    label: str
    png: bytes
    column: int = -1  # of the answer's probabilities that is its own; known once it was read

    @classmethod
    def parse(cls, document: bytes) -> Self:
        """ValueError, KeyError or TypeError if it is another document."""
        parsed = json.loads(document)
        return cls(parsed["index"], parsed["label"], b64decode(parsed["image"].partition(",")[2]))

    @property
    def picture(self) -> Image.Image:
        """Gray, 255 = ink."""
        return Image.open(BytesIO(self.png)).convert("L")


Maker = Callable[[list[Digit], str], list[Request]]  # digits, model


def pngs(digits: list[Digit], _: str) -> list[Request]:
    headers = headers_of("image/png")
    return [_predict("png", headers, each.png, [each.label]) for each in digits]


def jpegs(digits: list[Digit], _: str) -> list[Request]:
    headers = headers_of("image/jpeg")
    return [_predict("jpeg", headers, jpeg_of(each), [each.label]) for each in digits]


def forms(digits: list[Digit], _: str) -> list[Request]:
    """Each digit with those after it."""
    headers = headers_of(f"multipart/form-data; boundary={BOUNDARY}")
    requests = []
    for at in range(len(digits)):
        together = [digits[(at + more) % len(digits)] for more in range(FILES)]
        labels = [each.label for each in together]
        requests.append(_predict("form", headers, _form(together), labels))
    return requests


def jsons(digits: list[Digit], _: str) -> list[Request]:
    headers = headers_of("application/json")
    requests = []
    for at, each in enumerate(digits):
        text = b64encode(each.png).decode()
        image = text if at % 2 else f"data:image/png;base64,{text}"
        body = json.dumps({"image": image}).encode()
        requests.append(_predict("json", headers, body, [each.label]))
    return requests


def binaries(digits: list[Digit], model: str) -> list[Request]:
    return [
        tensor("binary", each, model, each.picture.size)._replace(
            check=partial(inferred, each.column)
        )
        for each in digits
    ]


def tensor(name: str, digit: Digit, model: str, shape: tuple[int, int]) -> Request:
    """One picture of the Open Inference Protocol; it is refused if its shape is another."""
    pixels = digit.picture.tobytes()
    header = {
        "inputs": [
            {
                "name": "pixels",
                "datatype": "UINT8",
                "shape": [1, *shape],
                "parameters": {"binary_data_size": len(pixels)},
            }
        ],
        "outputs": [{"name": "probabilities", "parameters": {"binary_data": True}}],
    }
    head = json.dumps(header, separators=(",", ":")).encode()
    headers = headers_of(OCTETS) | {HEAD: str(len(head))}
    return Request(name, INFER.format(model=model), headers, head + pixels)


MAKERS: dict[str, Maker] = {
    "png": pngs,
    "jpeg": jpegs,
    "form": forms,
    "json": jsons,
    "binary": binaries,
}


def _predict(name: str, headers: dict[str, str], body: bytes, labels: list[str]) -> Request:
    return Request(name, PREDICT, headers, body, check=partial(predicted, labels))


def _form(digits: list[Digit]) -> bytes:
    parts = b"".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="{at}.png"\r\n'
        f"Content-Type: image/png\r\n\r\n".encode()
        + each.png
        + b"\r\n"
        for at, each in enumerate(digits)
    )
    return parts + f"--{BOUNDARY}--\r\n".encode()


def wrong_requests(digits: list[Digit], model: str) -> list[Request]:
    """Made from the first digit; none of them depends on what the model reads."""
    digit = digits[0]
    png, json_body = headers_of("image/png"), headers_of("application/json")
    wide, high = digit.picture.size
    flat = (wide // 2, high * 2)  # as many pixels
    requests = [
        Request("no picture's type", PREDICT, headers_of("text/plain"), digit.png, 415),
        Request("empty body", PREDICT, png, b"", 400),
        Request("truncated picture", PREDICT, png, digit.png[: len(digit.png) // 2], 422),
        Request("blank picture", PREDICT, png, _blank(), 422),
        Request("malformed JSON", PREDICT, json_body, b'{"image": "iVBORw0', 400),
        Request("no base64", PREDICT, json_body, b'{"image": "?"}', 400),
        tensor("wrong shape", digit, model, flat)._replace(status=400),
        Request("no such model", INFER.format(model=f"no-{model}"), json_body, b"{}", 404),
        Request("no such route", "/v1/no-such-route", json_body, b"", 404, method="GET"),
    ]
    return [each._replace(name=f"wrong, {each.name}") for each in requests]


def _blank() -> bytes:
    file = BytesIO()
    Image.new("L", (280, 280), 255).save(file, "PNG")
    return file.getvalue()


def jpeg_of(digit: Digit) -> bytes:
    """The digit as somebody would draw it on a page: dark strokes on a light canvas.

    The same for the same digit; every second one is off-centre.
    """
    chance = random.Random(digit.number)  # noqa: S311
    side = chance.randint(*CANVAS)
    size = int(side * chance.uniform(*SIZE))
    smooth = digit.picture.resize((size, size), Image.Resampling.BICUBIC)
    stroke = smooth.point([max(0, min(255, (level - EDGE) * 4)) for level in range(256)])
    dark = ImageOps.colorize(
        stroke, black=(chance.randint(*PAPER),) * 3, white=(chance.randint(*INK),) * 3
    )
    canvas = Image.new("RGB", (side, side), dark.getpixel((0, 0)))
    room = side - size
    middle = (room // 2, room // 2)
    place = (chance.randint(0, room), chance.randint(0, room)) if digit.number % 2 else middle
    canvas.paste(dark, place)
    file = BytesIO()
    canvas.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
