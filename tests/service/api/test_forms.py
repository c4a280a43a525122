"""Images in multipart forms and JSON, and the options of a prediction."""

import json
import re
from base64 import b64encode
from typing import Any

import httpx2
import numpy as np
import pytest

from tests.fixtures import Judged
from tests.support.forms import part, post_parts
from tests.support.metrics import exposition
from tests.support.pictures import SEVEN, encoded, seven
from tests.support.problems import problem
from tests.support.running import Service

LARGE = encoded(seven(side=1200))
URL = "data:image/png;base64," + b64encode(SEVEN).decode()
BLANK = encoded(np.full((50, 50), 255, np.uint8))


def base64(body: bytes) -> str:
    return b64encode(body).decode()


def post(service: Service, path: str = "/v1/predict", **request: Any) -> httpx2.Response:
    with service.client() as client:
        return client.post(path, **request)


def digits(response: httpx2.Response) -> list[int]:
    assert response.status_code == 200, response.text
    return [prediction["digit"] for prediction in response.json()["predictions"]]


# ---- forms ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        {"image": base64(SEVEN)},
        {"image": URL},
        {"image": URL.replace("data:image/png", "DATA:image/png;name=seven.png")},
        {"images": [base64(SEVEN)]},
        {"image": base64(LARGE)},
    ],
    ids=["base64", "data URL", "data URL with parameters", "a list of one", "long"],
)
def test_an_image_may_be_sent_in_json(service: Service, document: dict[str, Any]) -> None:
    assert digits(post(service, json=document)) == [7]


def test_base64_may_have_line_breaks(service: Service) -> None:
    text = base64(SEVEN)
    lines = "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76)) + "\r\n"
    assert digits(post(service, json={"image": lines})) == [7]


@pytest.mark.parametrize("name", ["image", "file", "anything"])
def test_an_image_may_be_sent_in_a_form_field_of_any_name(service: Service, name: str) -> None:
    assert digits(post(service, files={name: ("seven.png", SEVEN, "image/png")})) == [7]


@pytest.mark.parametrize("how", ["multipart", "json"])
@pytest.mark.parametrize("count", [3, 100], ids=["a few", "more than a batch"])
def test_many_images_are_answered_in_order(
    service: Service, judged: Judged, how: str, count: int
) -> None:
    pixels = judged.pixels[:count]
    with service.client() as client:
        one_by_one = [
            digits(client.post("/v1/predict", content=encoded(picture)))[0] for picture in pixels
        ]
    assert len(set(one_by_one)) > 1
    if how == "json":
        response = post(service, json={"images": [base64(encoded(each)) for each in pixels]})
    else:
        response = post(
            service, files=[("image", (f"{n}", encoded(p))) for n, p in enumerate(pixels)]
        )
    assert digits(response) == one_by_one


def test_a_form_may_mix_sizes_and_formats(service: Service) -> None:
    files = [encoded(seven()), encoded(seven(), "JPEG"), LARGE, encoded(seven(side=40), "BMP")]
    response = post(service, files=[("image", ("a", each)) for each in files])
    assert digits(response) == [7, 7, 7, 7]


def test_the_error_names_the_invalid_image_among_several(service: Service) -> None:
    files = [("image", ("fine.png", SEVEN)), ("image", ("empty.png", BLANK))]
    reported = problem(post(service, files=files), 422)
    assert reported["title"] == "Blank image"
    assert reported["detail"].startswith("empty.png (image 2 of 2): ")
    reported = problem(post(service, json={"images": [URL, base64(LARGE[:1000])]}), 422)
    assert reported["title"] == "Not an image"
    assert reported["detail"].startswith("images[1] (image 2 of 2): ")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "is not JSON"),
        (b"\xff\xfe{}", "is not JSON"),
        (b"NaN", "is not JSON"),
        (b"[]", "valid dictionary"),
        (b"{}", "send either"),
        (b'{"image": null}', "send either"),
        (b'{"image": "AA==", "images": ["AA=="]}', "send either"),
        (b'{"images": []}', "images: "),
        (b'{"image": 7}', "image: "),
        (b'{"images": ["AA==", 7]}', "images.1: "),
        (b'{"picture": "AA=="}', "picture: "),
        (b'{"image": ""}', "image is empty"),
        (b'{"image": "%%%"}', "image is neither base64 nor a data URL"),
        (b'{"images": ["AA==", "A"]}', "images[1] is neither base64 nor a data URL"),
        (b'{"image": "data:image/png,plain"}', "image is neither base64 nor a data URL"),
        (b'{"image": "\\ud800"}', ""),
        (b'{"image": ' + b"[" * 40 + b"]" * 40 + b"}", "DIGITSERVE_MAX_JSON_DEPTH"),
        (b'{"image": ' + b"[" * 5000 + b"]" * 5000 + b"}", ""),
    ],
)
def test_json_without_images_is_400_with_the_reason(
    service: Service, body: bytes, message: str
) -> None:
    response = post(service, content=body, headers={"Content-Type": "application/json"})
    assert message in problem(response, 400)["detail"]


@pytest.mark.parametrize(
    ("parts", "end", "message"),
    [
        ([], b"--x--\r\n", "form is empty"),
        ([], b"nonsense", "no whole multipart"),
        ([part(SEVEN)], b"", "no whole multipart"),
        ([part(SEVEN)[:200]], b"", "no whole multipart"),
        ([part(b"3", 'form-data; name="top_k"')], b"--x--\r\n", "'top_k' is neither an image"),
        ([b"--x\r\n\r\nnothing\r\n"], b"--x--\r\n", ""),
        ([part(SEVEN, 'form-data; name="i"; filename="../../etc/passwd"')], b"--x--\r\n", "plain"),
        ([part(SEVEN, 'form-data; name="i"; filename="..\\\\seven.png"')], b"--x--\r\n", "plain"),
    ],
    ids=[
        "no part", "no form", "no end", "cut", "a field", "no disposition", "a path", "backslashes",
    ],
)  # fmt: skip
def test_a_form_without_files_is_400_with_the_reason(
    service: Service, parts: list[bytes], end: bytes, message: str
) -> None:
    assert message in problem(post_parts(service, *parts, end=end), 400)["detail"]


FIELD = 'form-data; name="image"'


@pytest.mark.parametrize(
    "content",
    [
        SEVEN,
        LARGE,
        encoded(seven(), "JPEG"),
        base64(SEVEN).encode(),
        base64(SEVEN).encode() + b"\r\n",
        URL.encode(),
        URL.rstrip("=").encode(),
        ("data:image/png;base64," + base64(LARGE)).encode(),
    ],
    ids=[
        "PNG", "large", "JPEG", "base64", "base64 with a line end", "data URL",
        "data URL without padding", "long data URL",
    ],
)  # fmt: skip
def test_a_field_without_a_file_name_may_contain_an_image(service: Service, content: bytes) -> None:
    response = post_parts(service, part(content, FIELD), part(SEVEN))
    assert digits(response) == [7, 7]


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (b"", 400, "the field 'image' is empty; send a file, as curl -F image=@seven.png does"),
        (b"seven.png", 400, "character 6 is '.'; send a file, as curl -F image=@seven.png does"),
        (b"3", 400, "options in the URL: /v1/predict?top_k=3"),
        (b"AAAA", 400, "what it stands for is no image"),
        (b"data:image/png;base64,iVBOR%", 400, "character 6 is '%'"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", 422, "the file is HEIC"),
        (SEVEN[:100], 422, "the PNG is incomplete: it ends inside its IDAT chunk"),
    ],
    ids=["empty", "a name", "an option", "other base64", "no base64", "HEIC", "half a PNG"],
)
def test_the_error_about_a_field_without_an_image_says_why(
    service: Service, content: bytes, status: int, message: str
) -> None:
    reported = problem(post_parts(service, part(content, FIELD)), status)
    assert message in reported["detail"]


@pytest.mark.parametrize("file", ["a.png", ""], ids=["an empty file", "no file chosen"])
def test_an_empty_file_is_reported_as_empty(service: Service, file: str) -> None:
    empty = part(b"", f'form-data; name="image"; filename="{file}"')
    assert problem(post_parts(service, empty), 422)["detail"] == "the file is empty"


@pytest.mark.parametrize("body", [b'{"image": "%b"}' % base64(SEVEN).encode()])
def test_json_may_begin_with_a_byte_order_mark_but_is_utf_8(service: Service, body: bytes) -> None:
    kind = {"Content-Type": "application/json"}
    assert digits(post(service, content=b"\xef\xbb\xbf" + body, headers=kind)) == [7]
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        response = post(service, content=body.decode().encode(encoding), headers=kind)
        assert "in UTF-8, but in UTF-16 or UTF-32" in problem(response, 400)["detail"]


def test_a_form_without_boundary_is_400(service: Service) -> None:
    response = post(service, content=part(SEVEN), headers={"Content-Type": "multipart/form-data"})
    assert "boundary" in problem(response, 400)["detail"]


def test_too_many_images_are_413(service: Service) -> None:
    reported = problem(post(service, json={"images": ["AA=="] * 257}), 413)
    assert "257 images in one request, 256 are allowed" in reported["detail"]
    reported = problem(post_parts(service, *[part(b"x")] * 257), 413)
    assert "DIGITSERVE_MAX_PICTURES" in reported["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"images": [' + b"[], " * 500_000 + b"[]]}",
        b"{" + b", ".join(b'"%x": 1' % n for n in range(500_000)) + b"}",
    ],
    ids=["lists", "names"],
)
def test_json_with_far_more_than_images_is_413_quickly(service: Service, body: bytes) -> None:
    kind = {"Content-Type": "application/json"}
    before = processor_seconds(service)
    reported = problem(post(service, content=body, headers=kind), 413)
    assert "far more in it than 256 images" in reported["detail"]
    assert processor_seconds(service) - before < 0.2


def processor_seconds(service: Service) -> float:
    text = exposition(service)
    found = re.search(r"^process_cpu_seconds_total (\S+)", text, re.MULTILINE)
    assert found is not None
    return float(found.group(1))


def test_too_many_or_too_long_parts_are_413(service: Service) -> None:
    long = part(SEVEN, f'form-data; name="{"a" * 10_000}"; filename="a"')
    assert "beyond bounds" in problem(post_parts(service, long), 413)["detail"]


def test_an_empty_file_is_422_and_named(service: Service) -> None:
    reported = problem(post_parts(service, part(SEVEN), part(b"")), 422)
    assert reported["detail"].startswith("a.png (image 2 of 2): ")


def test_compressed_bodies_are_415(service: Service) -> None:
    response = post(service, content=SEVEN, headers={"Content-Encoding": "gzip"})
    assert "compressed already" in problem(response, 415)["detail"]


# ---- options ----------------------------------------------------------------------------------


def test_top_k_lists_the_most_likely_classes(service: Service) -> None:
    (prediction,) = post(service, "/v1/predict?top_k=3", content=SEVEN).json()["predictions"]
    top = prediction["top_k"]
    ranked = sorted(prediction["probabilities"], reverse=True)
    assert [each["confidence"] for each in top] == ranked[:3]
    assert [prediction["probabilities"][each["digit"]] for each in top] == ranked[:3]
    assert [each["label"] for each in top] == [str(each["digit"]) for each in top]
    assert top[0]["digit"] == prediction["digit"]


def test_top_k_is_limited_by_the_number_of_classes(service: Service) -> None:
    (prediction,) = post(service, "/v1/predict?top_k=999", content=SEVEN).json()["predictions"]
    assert len(prediction["top_k"]) == 10


def test_answers_below_the_threshold_are_uncertain(service: Service) -> None:
    below, above = (
        post(service, f"/v1/predict?threshold={threshold}", content=SEVEN).json()["predictions"][0]
        for threshold in (1, 0)
    )
    assert below.pop("uncertain") is True
    assert below.pop("reason") == "low_confidence"
    assert below == above


def test_options_apply_to_every_image_of_a_request(service: Service) -> None:
    response = post(service, "/v1/predict?top_k=1&threshold=1", json={"images": [URL, URL]})
    for prediction in response.json()["predictions"]:
        assert len(prediction["top_k"]) == 1
        assert prediction["uncertain"]


def test_ink_off_uses_an_image_unchanged(service: Service, judged: Judged) -> None:
    """A digit in a corner is not centred; a prepared image gets the same answer as before."""
    prepared = encoded(judged.pixels[0])
    assert (
        post(service, "/v1/predict?ink=off", content=prepared).json()
        == post(service, "/v1/predict", content=prepared).json()
    )
    corner = encoded(seven(side=400, at=(0.05, 0.6), size=0.3))
    off, on = (
        post(service, f"/v1/predict?ink={ink}", content=corner).json() for ink in ("off", "on")
    )
    assert on["predictions"][0]["digit"] == 7
    assert off["predictions"] != on["predictions"]


def test_a_blank_image_is_answered_with_ink_off(service: Service) -> None:
    assert post(service, "/v1/predict?ink=off", content=BLANK).status_code == 200
    problem(post(service, "/v1/predict?ink=on", content=BLANK), 422)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("top_k=0", "top_k: must be at least 1"),
        ("top_k=many", "top_k: must be a whole number"),
        ("top_k=-1", "top_k: "),
        ("top_k=three", "top_k: "),
        ("top_k=99999999999999999999999", "top_k: "),
        ("top_k=", "top_k: "),
        ("ink=maybe", "ink: "),
        ("threshold=1.5", "threshold: "),
        ("threshold=nan", "threshold: "),
        ("topk=3", "'topk' is unknown; there are top_k, ink, threshold"),
        ("top_k=1&top_k=2", "'top_k' came 2 times"),
        ("top_k=%ff", "cannot be read"),
        ("&".join(f"a{n}=1" for n in range(100)), "cannot be read"),
    ],
)
def test_the_error_about_an_option_out_of_bounds_names_it(
    service: Service, query: str, message: str
) -> None:
    assert message in problem(post(service, f"/v1/predict?{query}", content=SEVEN), 400)["detail"]


def test_the_answer_to_several_images_is_valid_json_with_any_labels(service: Service) -> None:
    response = post(service, "/v1/predict?top_k=2&threshold=1", json={"images": [URL] * 3})
    assert len(json.loads(response.content)["predictions"]) == 3
