"""With debug=ink, a response includes the pixels that the network received."""

import base64
from io import BytesIO
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image

from preprocessing.digits.normalize import normalize_digit
from service.tensors import Pixels
from tests.fixtures import Judged
from tests.support.forms import MULTIPART, part
from tests.support.pictures import Gray, encoded, seven
from tests.support.problems import problem
from tests.support.running import Service

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (28, 28), np.uint8)  # which preprocessing would change


def send(service: Service, query: str, body: bytes, kind: str = "image/png") -> httpx2.Response:
    with service.client(headers={"Content-Type": kind}) as client:
        return client.post(f"/v1/predict?{query}", content=body)


def predictions(service: Service, query: str, body: bytes, kind: str = "image/png") -> list[Any]:
    answer = send(service, query, body, kind)
    assert answer.status_code == 200, answer.text
    found: list[Any] = answer.json()["predictions"]
    return found


def file_of(prediction: dict[str, Any]) -> bytes:
    head, _, text = prediction["ink"].partition(",")
    assert head == "data:image/png;base64"
    return base64.b64decode(text)


def seen(prediction: dict[str, Any]) -> Gray:
    return np.asarray(Image.open(BytesIO(file_of(prediction))))


def in_json(pictures: list[bytes]) -> bytes:
    texts = ",".join(f'"{base64.b64encode(each).decode()}"' for each in pictures)
    return f'{{"images":[{texts}]}}'.encode()


@pytest.mark.parametrize("sheet", [NOISE, seven(side=28)], ids=["noise", "dark on light"])
def test_an_image_used_unchanged_is_returned_as_sent(service: Service, sheet: Gray) -> None:
    (prediction,) = predictions(service, "ink=off&debug=ink", encoded(sheet))
    assert np.array_equal(seen(prediction), sheet)


def test_an_image_like_mnist_is_returned_as_sent(service: Service, judged: Judged) -> None:
    sheet = judged.pixels[0]
    (prediction,) = predictions(service, "debug=ink", encoded(sheet))
    assert np.array_equal(seen(prediction), sheet)


def test_the_ink_of_a_drawing_is_returned(service: Service) -> None:
    (prediction,) = predictions(service, "debug=ink", encoded(seven()))
    assert np.array_equal(seen(prediction), normalize_digit(seven()))


@pytest.mark.parametrize("ink", ["auto", "on", "off"])
@pytest.mark.parametrize("form", ["a picture", "json", "multipart"])
def test_the_returned_ink_is_what_was_predicted_in_every_form(
    service: Service, judged: Judged, ink: str, form: str
) -> None:
    """Sent again with ink=off, it gets the same prediction."""
    sheet = judged.pixels[1]
    files = [encoded(each) for each in (seven(), sheet, seven(side=28), 255 - sheet)]
    if form == "a picture":
        bodies, kind = files, "image/png"
    elif form == "json":
        bodies, kind = [in_json(files)], "application/json"
    else:
        whole = b"".join(part(file) for file in files) + b"--x--\r\n"
        bodies, kind = [whole], MULTIPART["Content-Type"]
    query = f"ink={ink}&debug=ink"
    first = [each for body in bodies for each in predictions(service, query, body, kind)]
    assert len(first) == len(files)
    for prediction in first:
        (again,) = predictions(service, query.replace(ink, "off"), file_of(prediction))
        assert again["probabilities"] == pytest.approx(prediction["probabilities"], abs=1e-5)
        assert np.array_equal(seen(again), seen(prediction))


def test_each_of_many_predictions_has_its_own_ink(service: Service, pixels: Pixels) -> None:
    body = in_json([encoded(sheet) for sheet in pixels[:100]])
    found = predictions(service, "ink=off&debug=ink&top_k=2", body, "application/json")
    assert np.array_equal([seen(each) for each in found], pixels[:100])
    assert all(len(each["top_k"]) == 2 for each in found)


def test_ink_is_returned_only_on_request(service: Service) -> None:
    for query in ("", "top_k=1"):
        (prediction,) = predictions(service, query, encoded(seven()))
        assert "ink" not in prediction


def test_ink_can_be_combined_with_other_options(service: Service) -> None:
    query = "ink=off&debug=ink&top_k=1&threshold=1"
    (prediction,) = predictions(service, query, encoded(NOISE))
    assert [*prediction] == [
        "digit", "label", "index", "confidence", "probabilities", "top_k", "ink", "uncertain",
        "reason",
    ]  # fmt: skip


@pytest.mark.parametrize("word", ["pixel", "", "true"])
def test_the_error_about_another_value_names_the_valid_ones(service: Service, word: str) -> None:
    detail = problem(send(service, f"debug={word}", encoded(seven())), 400)["detail"]
    assert detail == "debug: must be 'pixels' or 'ink'"
