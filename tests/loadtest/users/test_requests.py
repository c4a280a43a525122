"""Requests as real clients send them, prepared once for each image."""

import json
import struct
from base64 import b64decode
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw

from loadtest.users.checks import HEAD, inferred, predicted
from loadtest.users.requests import (
    MAKERS,
    Sample,
    binaries,
    jpeg_of,
    jpegs,
    jsons,
    wrong_requests,
)


def png_of_a_seven() -> bytes:
    """As on the sheet of a version: 28x28, 255 = ink."""
    image, file = Image.new("L", (28, 28)), BytesIO()
    ImageDraw.Draw(image).line([(7, 6), (20, 6), (12, 23)], fill=255, width=3)
    image.save(file, "PNG")
    return file.getvalue()


SEVEN = png_of_a_seven()
DIGITS = [Sample(number, "7", SEVEN, 7) for number in range(6)]


def png_of_a_sky() -> bytes:
    file = BytesIO()
    Image.new("RGB", (48, 32), (90, 140, 250)).save(file, "PNG")
    return file.getvalue()


SKY = Sample(0, "sky", png_of_a_sky(), 3)


def test_there_is_one_request_of_each_kind_per_image() -> None:
    assert {kind: len(make(DIGITS, "digits")) for kind, make in MAKERS.items()} == dict.fromkeys(
        MAKERS, len(DIGITS)
    )


def test_a_drawing_is_dark_on_a_light_canvas_of_some_hundred_pixels() -> None:
    for digit in DIGITS:
        drawing = Image.open(BytesIO(jpeg_of(digit)))
        gray = np.asarray(drawing.convert("L"))
        assert drawing.format == "JPEG"
        assert 200 <= drawing.width == drawing.height <= 360
        assert np.median(gray) > 200
        assert gray.min() < 90
        assert 0.005 < (gray < 128).mean() < 0.3
    assert len({request.body for request in jpegs(DIGITS, "digits")}) == len(DIGITS)


def test_json_contains_the_image_as_base64_or_as_a_data_url() -> None:
    images = [json.loads(request.body)["image"] for request in jsons(DIGITS, "digits")]
    assert {image.startswith("data:image/png;base64,") for image in images} == {True, False}
    assert {b64decode(image.rpartition(",")[2]) for image in images} == {SEVEN}


def test_a_tensor_request_is_a_header_followed_by_pixels() -> None:
    request = binaries(DIGITS, "others")[0]
    length = int(request.headers[HEAD])
    (reported,) = json.loads(request.body[:length])["inputs"]
    assert request.path == "/v2/models/others/infer"
    assert reported["shape"] == [1, 28, 28]
    assert request.body[length:] == Image.open(BytesIO(SEVEN)).convert("L").tobytes()


def test_an_image_in_colour_is_sent_as_it_is_in_any_kind_of_request() -> None:
    photo = Image.open(BytesIO(jpeg_of(SKY)))
    assert (photo.format, photo.size) == ("JPEG", (48, 32))
    request = binaries([SKY], "skies")[0]
    length = int(request.headers[HEAD])
    (reported,) = json.loads(request.body[:length])["inputs"]
    assert reported["shape"] == [1, 32, 48, 3]
    assert request.body[length:] == bytes([90, 140, 250]) * 32 * 48


def test_a_blank_image_is_wrong_only_for_a_model_of_digits() -> None:
    names = [{each.name for each in wrong_requests([one], "any")} for one in (DIGITS[0], SKY)]
    assert names[0] - names[1] == {"wrong, blank image"}


def prediction(label: str, confidence: float = 0.9) -> dict[str, object]:
    probabilities = [0.9, 0.1]
    return {
        "label": label,
        "index": 0,
        "confidence": confidence,
        "probabilities": probabilities,
    }


def test_a_prediction_is_correct_if_complete_with_the_right_labels() -> None:
    def error(*predictions: dict[str, object]) -> str:
        return predicted(["7", "1"], json.dumps({"predictions": predictions}).encode(), {})

    assert error(prediction("7"), prediction("1")) == ""
    assert error(prediction("7"), prediction("2")) == "read 7 2, not 7 1"
    assert error(prediction("7")) == "read 7, not 7 1"
    assert "no prediction" in error(prediction("7"), prediction("1", confidence=0.8))
    assert "no prediction" in error(prediction("7") | {"probabilities": [2, 3]})
    assert "no prediction" in predicted(["7"], b"no JSON", {})
    assert "no prediction" in predicted(["7"], b"{}", {})


def test_of_many_labels_the_likeliest_are_enough() -> None:
    likeliest = [{"label": "sky", "confidence": 0.6}, {"label": "sea", "confidence": 0.3}]
    answer = {"label": "sky", "index": 210, "confidence": 0.6, "top_k": likeliest}
    assert predicted(["sky"], json.dumps({"predictions": [answer]}).encode(), {}) == ""
    assert predicted(["sea"], json.dumps({"predictions": [answer]}).encode(), {})


def test_a_tensor_is_correct_if_the_label_has_the_highest_probability() -> None:
    def error(*values: float, shape: tuple[int, ...] = (1, 2)) -> str:
        head = json.dumps({"outputs": [{"shape": shape}]}).encode()
        body = head + struct.pack(f"<{len(values)}f", *values)
        return inferred(1, body, {HEAD: str(len(head))})

    assert error(0.25, 0.75) == ""
    assert error(0.75, 0.25) == "read class 0, not 1"
    assert "no probabilities: (2" in error(2, 3)
    assert "no probabilities" in error(0.25, 0.5, 0.25)
    assert "no probabilities" in error(0.25, 0.75, shape=(2,))
    assert "no probabilities" in inferred(1, b"{}", {})
