"""The requests of each kind of user, made of test images, with the expected answers.

png     the file itself            jpeg    a photo of it, or of a digit a drawing some hundred wide
form    multipart, four files      json    base64, or a data URL
binary  Open Inference Protocol: the pixels behind a JSON header, and so is the answer
wrong   what must be refused, each with the status of the reason
"""

import json
import random
from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import partial
from io import BytesIO
from itertools import cycle
from typing import NamedTuple, Self

from PIL import Image, ImageOps

from loadtest.users.checks import HEAD, Check, inferred, predicted

PREDICT = "/v1/predict"
INFER = "/v2/models/{model}/infer"
SAMPLES = "/v1/samples/random"
CANVAS = 200, 360  # pixels, least and most
SIZE = 0.5, 0.85  # of the canvas, that the digit's own square takes
MNIST = (28, 28)
PAPER, INK = (225, 255), (0, 60)  # shades of gray
EDGE = 96  # ink that belongs to a stroke, of 255
QUALITY = 85
FILES = 4  # of a form
BOUNDARY = "a-boundary-that-no-image-holds"
OCTETS = "application/octet-stream"


class Request(NamedTuple):
    name: str  # in locust's statistics
    path: str
    headers: dict[str, str]
    body: bytes
    status: int = 200
    check: Check | None = None  # of an answer with that status
    method: str = "POST"


def headers_of(kind: str) -> dict[str, str]:
    """The headers of a body of that type; answers of 400 bytes are not worth compressing."""
    return {"Content-Type": kind, "Accept-Encoding": "identity"}


class Sample(NamedTuple):
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
    def image(self) -> Image.Image:
        """In RGB, or in gray levels; of a digit 255 = ink."""
        image = Image.open(BytesIO(self.png))
        return image if image.mode == "L" else image.convert("RGB")


Maker = Callable[[list[Sample], str], list[Request]]  # samples, name of the model


def pngs(samples: list[Sample], _: str) -> list[Request]:
    return [_predict("png", "image/png", each.png, [each]) for each in samples]


def jpegs(samples: list[Sample], _: str) -> list[Request]:
    return [_predict("jpeg", "image/jpeg", jpeg_of(each), [each]) for each in samples]


def forms(samples: list[Sample], _: str) -> list[Request]:
    """A form for each sample, with the samples after it."""
    kind, count = f"multipart/form-data; boundary={BOUNDARY}", len(samples)
    groups = [[samples[(at + more) % count] for more in range(FILES)] for at in range(count)]
    return [_predict("form", kind, _form(group), group) for group in groups]


def jsons(samples: list[Sample], _: str) -> list[Request]:
    """Data URLs and plain base64 in turn."""
    requests = []
    for prefix, each in zip(cycle(["data:image/png;base64,", ""]), samples, strict=False):
        body = json.dumps({"image": prefix + b64encode(each.png).decode()}).encode()
        requests.append(_predict("json", "application/json", body, [each]))
    return requests


def binaries(samples: list[Sample], model: str) -> list[Request]:
    tensors = [tensor("binary", each, model) for each in samples]
    checks = [partial(inferred, each.column) for each in samples]
    return [each._replace(check=check) for each, check in zip(tensors, checks, strict=True)]


def tensor(name: str, sample: Sample, model: str, size: tuple[int, int] | None = None) -> Request:
    """One image for the Open Inference Protocol; another size (w, h) than its own is refused."""
    image = sample.image
    pixels = image.tobytes()
    wide, high = size or image.size
    header = {
        "inputs": [
            {
                "name": "pixels",
                "datatype": "UINT8",
                "shape": [1, high, wide, *([3] if image.mode == "RGB" else [])],
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


def _predict(name: str, kind: str, body: bytes, samples: list[Sample]) -> Request:
    check = partial(predicted, [each.label for each in samples])
    return Request(name, PREDICT, headers_of(kind), body, check=check)


def _form(samples: list[Sample]) -> bytes:
    parts = b"".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="{at}.png"\r\n'
        f"Content-Type: image/png\r\n\r\n".encode()
        + each.png
        + b"\r\n"
        for at, each in enumerate(samples)
    )
    return parts + f"--{BOUNDARY}--\r\n".encode()


def wrong_requests(samples: list[Sample], model: str) -> list[Request]:
    """Requests made from the first sample; their answers do not depend on the model."""
    sample = samples[0]
    png, json_body = headers_of("image/png"), headers_of("application/json")
    wide, high = sample.image.size
    flat = (wide // 2, high * 2)  # as many pixels, of an even width
    blank = [Request("blank image", PREDICT, png, _blank(), 422)] if is_digit(sample) else []
    requests = [
        Request("no image's type", PREDICT, headers_of("text/plain"), sample.png, 415),
        Request("empty body", PREDICT, png, b"", 400),
        Request("truncated image", PREDICT, png, sample.png[: len(sample.png) // 2], 422),
        *blank,
        Request("malformed JSON", PREDICT, json_body, b'{"image": "iVBORw0', 400),
        Request("no base64", PREDICT, json_body, b'{"image": "?"}', 400),
        tensor("wrong shape", sample, model, flat)._replace(status=400),
        Request("no such model", INFER.format(model=f"no-{model}"), json_body, b"{}", 404),
        Request("no such route", "/v1/no-such-route", json_body, b"", 404, method="GET"),
    ]
    return [each._replace(name=f"wrong, {each.name}") for each in requests]


def _blank() -> bytes:
    file = BytesIO()
    Image.new("L", (280, 280), 255).save(file, "PNG")
    return file.getvalue()


def is_digit(sample: Sample) -> bool:
    """Whether it is of a model that finds the digit on any drawing."""
    image = sample.image
    return (image.mode, image.size) == ("L", MNIST) and sample.label.isdigit()


def jpeg_of(sample: Sample) -> bytes:
    file = BytesIO()
    image = _drawn(sample) if is_digit(sample) else sample.image
    image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def _drawn(sample: Sample) -> Image.Image:
    """A digit as people draw it on a page: dark strokes on a light canvas.

    The same for the same sample; every second one is off-centre.
    """
    chance = random.Random(sample.number)  # noqa: S311
    side = chance.randint(*CANVAS)
    size = int(side * chance.uniform(*SIZE))
    smooth = sample.image.resize((size, size), Image.Resampling.BICUBIC)
    stroke = smooth.point([max(0, min(255, (level - EDGE) * 4)) for level in range(256)])
    dark = ImageOps.colorize(
        stroke, black=(chance.randint(*PAPER),) * 3, white=(chance.randint(*INK),) * 3
    )
    canvas = Image.new("RGB", (side, side), dark.getpixel((0, 0)))
    room = side - size
    middle = (room // 2, room // 2)
    place = (chance.randint(0, room), chance.randint(0, room)) if sample.number % 2 else middle
    canvas.paste(dark, place)
    return canvas
