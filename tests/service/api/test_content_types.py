"""An image is recognised by its first bytes, whatever its declared type; others are named."""

import gzip
import subprocess
import urllib.parse
import urllib.request
from base64 import b64encode
from pathlib import Path

import httpx2
import pytest

from tests.support.pictures import SEVEN, encoded, seven
from tests.support.problems import problem
from tests.support.running import Service

TEXT = b64encode(SEVEN).decode()
URLENCODED = "application/x-www-form-urlencoded"
LARGE = encoded(seven(side=1200), "BMP")  # longer than bodies that are decoded on the event loop
# The first bytes of each format, which suffice to recognise it.
ISO = b"\0\0\0\x18ftyp%b\0\0\0\0mif1%b" + bytes(40)


def post(service: Service, body: bytes, kind: str, path: str = "/v1/predict") -> httpx2.Response:
    with service.client() as client:
        return client.post(path, content=body, headers={"Content-Type": kind})


def digits(response: httpx2.Response) -> list[int]:
    assert response.status_code == 200, response.text
    return [prediction["digit"] for prediction in response.json()["predictions"]]


@pytest.mark.parametrize(
    "kind",
    [
        "image/jpg", "image/x-png", "image/pjpeg", "image/heic", "image/*", "image/svg+xml",
        "IMAGE/JPG; name=seven", "*/*", "application/*", "binary/octet-stream", "unknown/unknown",
        "application/unknown", "application/x-octet-stream", "application/force-download",
        URLENCODED, f"{URLENCODED.upper()}; charset=UTF-8", "image/png ; q=1",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "body", [SEVEN, encoded(seven(), "JPEG"), LARGE], ids=["PNG", "JPEG", "large"]
)
def test_an_image_is_read_whatever_its_declared_type(
    service: Service, kind: str, body: bytes
) -> None:
    assert digits(post(service, body, kind)) == [7]


def test_a_version_accepts_the_same_types(service: Service) -> None:
    path = "/v1/models/digits/versions/1/predict"
    assert digits(post(service, SEVEN, URLENCODED, path)) == [7]
    assert digits(post(service, SEVEN, "image/jpg", path)) == [7]


@pytest.mark.parametrize(
    "kind",
    ["application/json; charset=utf-8", "text/json", "application/vnd.digits+json", "Text/JSON"],
)
def test_json_has_several_media_types(service: Service, kind: str) -> None:
    assert digits(post(service, b'{"image": "%b"}' % TEXT.encode(), kind)) == [7]


@pytest.mark.parametrize(
    "kind", ["application/json", "multipart/form-data; boundary=x", "text/json"]
)
def test_the_error_about_an_image_sent_as_a_form_says_so(service: Service, kind: str) -> None:
    detail = problem(post(service, SEVEN, kind), 400)["detail"]
    assert "the body is an image file; send it as image/png" in detail


@pytest.mark.parametrize("kind", ["text/plain", "text/html", "video/mp4", "application/pdf"])
def test_an_unsupported_type_is_415_before_the_body_is_sent(service: Service, kind: str) -> None:
    response = post(service, SEVEN, kind)
    detail = problem(response, 415)["detail"]
    assert detail.startswith(f"{kind} holds no images; send an image file as image/png")
    assert "image/*" in response.headers["Accept"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (ISO % (b"heic", b"heic"), "HEIC, as iPhones save photos: convert it to JPEG or PNG"),
        (ISO % (b"heix", b"heix"), "Most Compatible"),
        (ISO % (b"hevc", b"hevc"), "HEIC"),
        (ISO % (b"mif1", b"heic"), "HEIC"),
        (ISO % (b"msf1", b"hevc"), "HEIC"),
        (ISO % (b"mif1", b"avif"), "AVIF: convert it"),
        (ISO % (b"avif", b"avif"), "AVIF: convert it"),
        (ISO % (b"avis", b"avis"), "AVIF: convert it"),
        (ISO % (b"isom", b"mp41"), "a video"),
        (b"%PDF-1.7\n%\xe2\xe3\0", "a PDF"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- a --><svg/>', "SVG"),
        (b"\n<!DOCTYPE html><title>404</title>", "an HTML page"),
        (b"<html><img>", "an HTML page"),
        (b"\0\0\1\0\1\0\x10\x10", "an icon (ICO)"),
        (b"\xff\x0a\xfa\x1f\0", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"8BPS\0\1", "a Photoshop document"),
        (b"\x93NUMPY\1\0", "a NumPy array"),
        (gzip.compress(SEVEN), "compressed with gzip"),
        (b"PK\3\4\x14\0", "a ZIP archive"),
        (TEXT.encode(), "an image in base64"),
        (b"data:image/png;base64," + TEXT.encode(), "an image in base64"),
        (b'{"image": "' + TEXT.encode() + b'"}', "Content-Type application/json"),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\n", "a multipart form"),
        (b"RIFF\x24\0\0\0WAVEfmt " + bytes(40), "no PNG, JPEG, WebP, BMP, GIF or TIFF"),
        (b"this is text", "no PNG, JPEG, WebP, BMP, GIF or TIFF"),
    ],
)
@pytest.mark.parametrize("kind", ["image/png", "image/heic"])
def test_the_error_about_another_format_names_it_and_says_what_to_do(
    service: Service, body: bytes, message: str, kind: str
) -> None:
    assert message in problem(post(service, body, kind), 422)["detail"]


def test_the_error_names_the_unsupported_file_among_several(service: Service) -> None:
    with service.client() as client:
        files = [("image", ("a.png", SEVEN)), ("image", ("b.heic", ISO % (b"heic", b"heic")))]
        reported = problem(client.post("/v1/predict", files=files), 422)
    assert reported["detail"].startswith("b.heic (image 2 of 2): the file is HEIC")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WebP", "BMP", "GIF", "TIFF"])
@pytest.mark.parametrize("named", [URLENCODED, "image/png"])
def test_the_error_about_an_image_damaged_by_curl_data_suggests_data_binary(
    service: Service, kind: str, named: str, tmp_path: Path
) -> None:
    for side in (28, 200):
        file = tmp_path / "seven"
        file.write_bytes(encoded(seven(side=side), kind))
        status, answer = curl(service, "-H", f"Content-Type: {named}", "--data", f"@{file}")
        assert (status, "--data-binary rather than --data" in answer) == (422, True), answer


def test_a_png_with_converted_line_ends_is_recognised(service: Service) -> None:
    body = SEVEN.replace(b"\r\n", b"\n")
    assert "line ends" in problem(post(service, body, "image/png"), 422)["detail"]


@pytest.mark.parametrize(
    "options",
    [
        ["--data-binary", "@{png}"],
        ["-T", "{png}", "-X", "POST"],
        ["-F", "image=@{png}"],
        ["-F", "image=<{text}"],
        ["-F", "image=<{url}"],
        ["-d", '{{"image": "{TEXT}"}}'],
        ["--data-binary", '{{"images": ["{TEXT}"]}}'],
        ["-d", "image={TEXT}"],
        ["--data-urlencode", "image={TEXT}"],
        ["--data-urlencode", "image@{text}"],
        ["--data-urlencode", "image@{url}"],
        ["--data-urlencode", "image@{png}"],
        ["--data-urlencode", "image@{bmp}"],
    ],
    ids=" ".join,
)
def test_curl_can_send_an_image_in_many_ways(
    service: Service, options: list[str], tmp_path: Path
) -> None:
    files = {
        "png": SEVEN,
        "bmp": encoded(seven(side=50), "BMP"),
        "text": b"".join(line + b"\n" for line in lines_of(TEXT.encode())),
        "url": b"data:image/png;base64," + TEXT.encode(),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    names = {name: str(tmp_path / name) for name in files}
    status, answer = curl(service, *(option.format(**names, TEXT=TEXT) for option in options))
    assert (status, '"digit":7' in answer) == (200, True), answer


def test_urllib_can_send_an_image_without_headers(service: Service) -> None:
    for data in (SEVEN, urllib.parse.urlencode({"image": TEXT}).encode()):
        with urllib.request.urlopen(f"{service.url}/v1/predict", data) as response:
            assert b'"digit":7' in response.read()


def test_a_urlencoded_form_may_have_several_images(service: Service) -> None:
    nine = encoded(seven(side=60, paper=0, ink=255))
    fields = [("a", TEXT), ("b", f"data:image/png;base64,{TEXT}"), ("c", nine), ("c", LARGE)]
    body = urllib.parse.urlencode(fields).encode() + b"&"
    assert digits(post(service, body, URLENCODED)) == [7] * 4


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"top_k=3", 400, "'top_k' is neither an image file nor base64"),
        (b"image=" + TEXT.encode() + b"&top_k=3", 400, "options in the URL: /v1/predict?top_k=3"),
        (b"image=", 400, "'image' is empty"),
        (b"image=seven.png", 400, "character 6 is '.'; send a file, as curl -F image=@seven.png"),
        (b"image=AAAA", 400, "what it stands for is no image"),
        (b"image=%zz", 400, "character 1 is '%'"),
        (b"image=100%", 400, "character 4 is '%'"),
        (b"image=%%41AA", 400, "character 1 is '%'"),
        (b"seven.png", 400, "neither an image file nor a form"),
        (b"&&&", 400, "the form is empty"),
        (b"\r\n", 400, "the form is empty"),
        (b"a=" + b"&a=" * 400, 413, "DIGITSERVE_MAX_PARTS"),
        (b"&".join([b"a=" + TEXT.encode()] * 257), 413, "DIGITSERVE_MAX_PICTURES"),
        (TEXT.encode(), 422, "an image in base64"),
        (b"<html>", 422, "an HTML page"),
        (b"{", 400, "is not JSON"),
        (b"image=%FF%D8%FF%E0%00%10", 422, "JPEG is damaged, incomplete"),
        (b"image=" + urllib.parse.quote(ISO % (b"heic", b"heic")).encode(), 422, "HEIC"),
    ],
)
def test_the_error_about_a_urlencoded_form_without_an_image_says_why(
    service: Service, body: bytes, status: int, message: str
) -> None:
    assert message in problem(post(service, body, URLENCODED), status)["detail"]


def curl(service: Service, *options: str) -> tuple[int, str]:
    """Status and body of the response to a POST to /v1/predict with curl."""
    command = ["curl", "-sS", "-w", "\n%{http_code}", *options, f"{service.url}/v1/predict"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer, _, status = done.stdout.rpartition("\n")
    return int(status), answer


def lines_of(text: bytes) -> list[bytes]:
    return [text[at : at + 76] for at in range(0, len(text), 76)]
