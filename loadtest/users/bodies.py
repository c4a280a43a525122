"""The requests of each kind that test digits make: bodies as real clients send them.

png     the file itself            jpeg    a drawing of it, some hundred pixels wide
form    multipart, four files      json    base64, or a data URL
binary  Open Inference Protocol: 784 bytes behind a JSON header, and so is the answer
"""

import json
from base64 import b64encode
from collections.abc import Callable
from functools import partial

from loadtest.users.answers import HEAD, inferred, predicted
from loadtest.users.digit import Digit
from loadtest.users.drawing import jpeg_of
from loadtest.users.request import INFER, PREDICT, Request, headers_of

FILES = 4  # of a form
BOUNDARY = "a-boundary-that-no-picture-holds"
OCTETS = "application/octet-stream"

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
    told = {
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
    head = json.dumps(told, separators=(",", ":")).encode()
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
