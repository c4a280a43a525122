"""Requests that must be refused, each with the status that says why."""

from io import BytesIO

from PIL import Image

from loadtest.users.bodies import tensor
from loadtest.users.digit import Digit
from loadtest.users.request import INFER, PREDICT, Request, headers_of

PNG, JSON = headers_of("image/png"), headers_of("application/json")


def wrong_requests(digits: list[Digit], model: str) -> list[Request]:
    """Made from the first digit; none of them depends on what the model reads."""
    digit = digits[0]
    wide, high = digit.picture.size
    flat = (wide // 2, high * 2)  # as many pixels
    requests = [
        Request("no picture's type", PREDICT, headers_of("text/plain"), digit.png, 415),
        Request("empty body", PREDICT, PNG, b"", 400),
        Request("truncated picture", PREDICT, PNG, digit.png[: len(digit.png) // 2], 422),
        Request("blank picture", PREDICT, PNG, _blank(), 422),
        Request("malformed JSON", PREDICT, JSON, b'{"image": "iVBORw0', 400),
        Request("no base64", PREDICT, JSON, b'{"image": "?"}', 400),
        tensor("wrong shape", digit, model, flat)._replace(status=400),
        Request("no such model", INFER.format(model=f"no-{model}"), JSON, b"{}", 404),
        Request("no such route", "/v1/no-such-route", JSON, b"", 404, method="GET"),
    ]
    return [each._replace(name=f"wrong, {each.name}") for each in requests]


def _blank() -> bytes:
    file = BytesIO()
    Image.new("L", (280, 280), 255).save(file, "PNG")
    return file.getvalue()
