"""Clients that offer HTTP/2 on each request or on the first one are answered like all others."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.interop.programs import required
from tests.service.http.test_upgrade import PIXELS
from tests.support.pictures import SEVEN
from tests.support.running import ROOT, TOKEN, Service

EXAMPLE = ROOT / "examples/clients/Predict.java"
TIMES = 100
PICTURE = ("-H", "Content-Type: image/png", "--data-binary", "@seven.png")
FORM = ("-F", "image=@seven.png", "-F", "image=@seven.png")
DOCUMENT = ("-H", "Content-Type: application/json", "--data-binary", "@seven.json")
TENSOR = ("-H", "Content-Type: application/json", "--data-binary", "@pixels.json")
ADMIN = ("-X", "POST", "-H", f"Authorization: Bearer {TOKEN}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bodies that clients send, as files."""
    folder = tmp_path_factory.mktemp("sent")
    (folder / "seven.png").write_bytes(SEVEN)
    (folder / "pixels.json").write_bytes(PIXELS)
    encoded = subprocess.run(["base64", "-w0"], input=SEVEN, capture_output=True, check=True)
    (folder / "seven.json").write_text(json.dumps({"images": [encoded.stdout.decode()]}))
    return folder


def test_every_post_of_a_java_client_is_answered(service: Service, folder: Path) -> None:
    """By default it offers h2c on the first request of a connection."""
    words = [service.url, *[str(folder / "seven.png")] * TIMES]
    done = subprocess.run(
        [required("java"), EXAMPLE, *words], capture_output=True, text=True, check=True
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["predictions"][0]["label"] for answer in answers] == ["7"] * TIMES


@pytest.mark.parametrize(
    ("path", "words"),
    [
        pytest.param("/v1/predict", PICTURE, id="picture"),
        pytest.param("/v1/predict", FORM, id="form"),
        pytest.param("/v1/predict", DOCUMENT, id="JSON"),
        pytest.param("/v1/predict", (*PICTURE, "-H", "Expect: 100-continue"), id="expectant"),
        pytest.param("/v1/predict", (*PICTURE, "-H", "Transfer-Encoding: chunked"), id="in chunks"),
        pytest.param("/v1/models/digits/versions/1/predict", PICTURE, id="by version"),
        pytest.param("/v2/models/digits/infer", TENSOR, id="tensor"),
        pytest.param("/v2/models/digits/versions/1/infer", TENSOR, id="tensor by version"),
        pytest.param("/v1/models/digits/versions/1/activate", ADMIN, id="activate"),
        pytest.param("/v1/models/digits/rollback", ADMIN, id="rollback"),
        pytest.param(
            "/v2/repository/models/digits/load", (*ADMIN, "-d", "{}", *DOCUMENT[:2]), id="load"
        ),
        pytest.param(
            "/v2/repository/models/digits/unload", (*ADMIN, "-d", "{}", *DOCUMENT[:2]), id="unload"
        ),
        pytest.param("/v2/repository/index", (*ADMIN, "-d", "{}", *DOCUMENT[:2]), id="index"),
    ],
)
def test_curl_offering_http_2_gets_the_same_answers(
    service: Service, folder: Path, path: str, words: tuple[str, ...]
) -> None:
    curl, url = required("curl"), f"{service.url}{path}"

    def answered(version: str) -> tuple[str, object]:
        done = subprocess.run(
            [curl, "--silent", version, "--write-out", "\n%{http_code}", *words, url],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
        body, _, status = done.stdout.rpartition("\n")
        document = json.loads(body or "null")
        if isinstance(document, dict):
            document.pop("request_id", None)
        return status, document

    expected = answered("--http1.1")
    assert answered("--http2") == expected
    if words[:2] != ADMIN[:2]:
        assert expected[0] == "200"
