"""Memory and scheduling of decoding: memory per image, order, and exhaustion."""

import gc
import re
import resource
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import httpx2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from contract.card import StretchPreparation
from contract.store import Store
from contract.version import Version
from preprocessing.decoder import identify, small_png
from preprocessing.preparation import preparer_of
from service.api.v1.bodies import ImageFile
from service.api.v1.images import pixels_of
from service.http.offload import Kept
from service.settings import Settings
from tests.support.forms import MULTIPART, part
from tests.support.metrics import counted
from tests.support.pictures import SEVEN, encoded, seven
from tests.support.problems import problem
from tests.support.running import Service, status, wait_until

LIMIT = 16_000_000
MIB = 2**20
linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="read in /proc")


def large(side: int, channels: int = 3) -> NDArray[np.uint8]:
    """An image of a seven, (side, side, channels)."""
    gray = np.asarray(cv2.resize(seven(side=400), (side, side)), np.uint8)
    picture = np.repeat(gray[..., np.newaxis], channels, 2)
    if channels == 4:
        picture[..., 3] = 255
    return picture


def opencv(picture: object, kind: str, *options: int) -> bytes:
    return bytes(cv2.imencode(kind, picture, options)[1])  # type: ignore[call-overload]


DEEP = opencv(large(1500, 4).astype(np.uint16) * 257, ".png")
PROGRESSIVE = opencv(
    large(1500),
    ".jpg",
    cv2.IMWRITE_JPEG_PROGRESSIVE,
    1,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
)
GRAY = Image.fromarray(large(1500)[..., 0])
LARGE_FILES = {
    "PNG of 16 bits": DEEP,
    "PNG with a transparent gray": encoded(GRAY, transparency=5),
    "JPEG": opencv(large(1500), ".jpg"),
    "JPEG, progressive": PROGRESSIVE,
    "WebP": opencv(large(1500, 4), ".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
    "GIF": encoded(GRAY, "GIF"),
    "BMP": encoded(large(1500, 4), "BMP"),
    "TIFF in one strip": encoded(large(1500), "TIFF", compression="tiff_lzw", tiffinfo={278: 1500}),
}


def peak_of(work: Callable[[], object]) -> int:
    """The peak of additional memory that this process allocates, in bytes."""
    gc.collect()
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    work()
    return _memory("VmHWM") - before


def _memory(what: str) -> int:
    found = re.search(rf"{what}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


@linux
@pytest.mark.parametrize("kind", LARGE_FILES)
def test_decoding_takes_at_most_the_memory_estimated_from_the_header(kind: str) -> None:
    picture = identify(LARGE_FILES[kind], max_pixels=LIMIT)
    assert peak_of(picture.raster) <= picture.memory + MIB


def test_coefficients_of_a_progressive_jpeg_count() -> None:
    """With 4:4:4, two bytes for each of three components per pixel, besides the decoded pixels."""
    picture = identify(PROGRESSIVE, max_pixels=LIMIT)
    assert picture.memory >= 1500 * 1500 * 6


@pytest.mark.parametrize("side", [64, 256])
def test_a_png_that_takes_long_is_not_decoded_on_the_event_loop(side: int) -> None:
    assert small_png(encoded(seven(side=side)), LIMIT) is None


# ---- limits -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bounded(published: tuple[Store, Version]) -> Iterator[Service]:
    """A service with the smallest memory for images, and few pixels per request."""
    settings = {
        "max_decoding": 64 * MIB, "max_request_pixels": 5_000_000, "request_timeout": 60,
    }  # fmt: skip
    with Service.started(published[0].folder.parent, **settings) as service:
        yield service


def post(service: Service, body: bytes) -> httpx2.Response:
    with service.client() as client:
        return client.post("/v1/predict", content=body, headers={"Content-Type": "image/png"})


def post_form(service: Service, *bodies: bytes) -> httpx2.Response:
    content = b"".join(map(part, bodies)) + b"--x--\r\n"
    with service.client(headers=MULTIPART) as client:
        return client.post("/v1/predict", content=content)


def test_an_image_that_needs_more_memory_than_the_limit_is_rejected(bounded: Service) -> None:
    fits, does_not = (encoded(Image.fromarray(large(side)).convert("LA")) for side in (2000, 2230))
    assert post(bounded, fits).status_code == 200  # 12 bytes per pixel: 46 MiB
    reported = problem(post(bounded, does_not), 413)  # 57 MiB, of 56
    assert reported["type"] == "/problems/decoding-too-large"
    assert "DIGITSERVE_MAX_DECODING" in reported["detail"]


def test_images_wait_for_memory(bounded: Service) -> None:
    body = opencv(large(2000), ".jpg")  # 24 MB each, of at most 56 MiB
    with ThreadPoolExecutor(8) as clients:
        answers = [*clients.map(lambda _: post(bounded, body), range(8))]
    assert {answer.status_code for answer in answers} == {200}


def test_the_pixels_of_a_request_are_counted_before_any_image_is_decoded(bounded: Service) -> None:
    whole = encoded(seven(side=1500))
    assert post_form(bounded, whole, whole).status_code == 200
    damaged = whole[:-200] + bytes(200)
    reported = problem(post_form(bounded, damaged, whole, whole), 413)
    assert reported["type"] == "/problems/request-too-many-pixels"
    assert "6,750,000 pixels together" in reported["detail"]
    assert "DIGITSERVE_MAX_REQUEST_PIXELS" in reported["detail"]


def test_the_pixels_of_several_images_are_kept_while_these_are_decoded_in_turn() -> None:
    shape, sent = (224, 224, 3), [ImageFile("", encoded(GRAY))] * 3
    prepare = preparer_of(StretchPreparation(size=(224, 224)), shape)
    slices = pixels_of(lambda: sent, 0, prepare, "auto", Settings())  # type: ignore[call-arg]
    assert [each for each in slices if isinstance(each, Kept)] == [3 * 224 * 224 * 3]


# ---- scheduling -------------------------------------------------------------------------------


@pytest.mark.slow
def test_small_images_overtake_large_forms(published: tuple[Store, Version]) -> None:
    """Whatever arrived before: each form is more work than all small images together."""
    form = [encoded(large(3000)[..., 0])] * 25
    answered: list[str] = []

    def send(name: str, send: Callable[[], httpx2.Response]) -> None:
        assert send().status_code == 200
        answered.append(name)

    with Service.started(published[0].folder.parent, request_timeout=100) as service:
        threads = [
            threading.Thread(target=send, args=("form", lambda: post_form(service, *form)))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        # These and the request for metrics; then their bodies need time to be read.
        wait_until(lambda: counted(service, "inflight_requests") >= 4, service)
        time.sleep(0.2)
        for _ in range(3):
            send("small", lambda: post(service, SEVEN))
        for thread in threads:
            thread.join()
    assert answered[:3] == ["small"] * 3


# ---- running out of memory --------------------------------------------------------------------


@pytest.mark.slow
@linux
def test_running_out_of_memory_is_not_a_client_error(published: tuple[Store, Version]) -> None:
    whole = [
        encoded(large(3500)), opencv(large(3500, 4), ".png"), opencv(large(3500), ".jpg"),
        opencv(large(3500), ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        opencv(large(3500, 4), ".webp"), encoded(large(3500), "TIFF", compression="tiff_lzw"),
    ]  # fmt: skip
    with Service.started(published[0].folder.parent, request_timeout=60) as service:
        for body in (*whole, SEVEN):
            assert post(service, body).status_code == 200
        pid = service.process.pid
        taken = re.search(r"VmSize:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        assert taken is not None
        _, most = resource.prlimit(pid, resource.RLIMIT_AS)
        room = int(taken[1]) * 1024 + 40 * MIB
        resource.prlimit(pid, resource.RLIMIT_AS, (room, most))
        with ThreadPoolExecutor(4) as clients:
            answers = [*clients.map(lambda body: post(service, body), 5 * whole)]
        resource.prlimit(pid, resource.RLIMIT_AS, (most, most))
        refused = [answer for answer in answers if answer.status_code != 200]
        assert refused
        assert {answer.status_code for answer in refused} == {503}, service.log
        for answer in refused:
            reported = problem(answer, 503)
            assert reported["type"] == "/problems/out-of-memory"
            assert answer.headers["retry-after"] == "1"
        assert counted(service, 'shed_total{reason="out_of_memory"}') == len(refused)
        for body in (*whole, SEVEN):
            assert post(service, body).status_code == 200


# ---- total memory -----------------------------------------------------------------------------


def test_the_total_memory_is_logged_and_in_the_status(service: Service) -> None:
    (reported,) = [e for e in service.events if e["event"].startswith("memory: at most")]
    found = re.match(
        r"memory: at most ([\d,]+) MiB = 1 x \(.* 256 MiB .*MAX_BUFFERED", reported["event"]
    )
    assert found is not None
    memory = status(service)["memory"]
    assert memory["budget"] // MIB == int(found[1].replace(",", ""))
    assert memory["budget"] < 2**30  # the limit in docker-compose.yml
    assert memory["limit"] > 0


@pytest.mark.slow
def test_a_total_above_the_available_memory_is_a_warning(published: tuple[Store, Version]) -> None:
    with Service.started(published[0].folder.parent, max_decoding=2**40, workers=2) as service:
        (reported,) = [e for e in service.events if e["event"].startswith("memory: at most")]
    assert reported["level"] == "warning"
    for lower in ("MAX_DECODING", "MAX_BUFFERED", "WORKERS"):
        assert f"DIGITSERVE_{lower}" in reported["event"].partition("there are only")[2]
