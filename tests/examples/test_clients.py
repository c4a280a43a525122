"""Each client of examples/clients predicts, reports errors, and waits where the service is full."""

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.examples.programs import command_of, output_of, run
from tests.fixtures import Judged
from tests.support import fetch
from tests.support.pictures import SEVEN
from tests.support.program import PATIENCE
from tests.support.running import Service, wait_until

FILES = ["predict.sh", "predict.py", "predict.mjs", "Predict.java"]  # clients that send files
TENSORS = ["predict_triton.py", "predict_kserve.py"]  # clients that send pixels


@pytest.mark.parametrize("client", FILES)
def test_a_client_prints_the_label_of_an_image(service: Service, images: Path, client: str) -> None:
    printed = output_of(*command_of(f"clients/{client}"), service.url, images / "seven.png")
    assert '"label":"7"' in printed or "seven.png: 7 (" in printed


@pytest.mark.parametrize("client", FILES)
def test_a_client_reports_why_an_image_is_refused(
    service: Service, tmp_path: Path, client: str
) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    done = run(*command_of(f"clients/{client}"), service.url, tmp_path / "notes.txt")
    assert done.returncode != 0
    assert "the file is no PNG" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_curl_sends_several_images_in_one_request(service: Service, images: Path) -> None:
    paths = [images / "seven.png", images / "0.png"]
    lines = output_of(*command_of("clients/predict.sh"), service.url, *paths).splitlines()
    single, best_three, both = (json.loads(line)["predictions"] for line in lines)
    assert len(single) == 1
    assert len(best_three[0]["top_k"]) == 3
    assert [prediction["label"] for prediction in both[:1]] == ["7"]
    assert len(both) == 2


@pytest.mark.parametrize("client", TENSORS)
def test_a_client_of_the_open_inference_protocol_sends_pixels(
    service: Service, images: Path, judged: Judged, client: str
) -> None:
    paths = [images / f"{number}.png" for number in range(10)]
    printed = output_of(*command_of(f"clients/{client}"), service.url, "digits", *paths)
    found = re.findall(r"\d\.png: (?:class )?(\d) \(", printed)
    assert found == [str(digit) for digit in judged.digits[:10]]


@pytest.mark.parametrize("client", FILES)
def test_a_client_waits_while_the_service_is_full(models: Path, images: Path, client: str) -> None:
    """It gets 503 at first, and repeats the request after the seconds of Retry-After."""
    settings = {"max_queue": 1, "max_wait": 1, "access_log": "all"}  # `refused` reads the log
    with Service.started(models, **settings) as service, full(service) as relieved:
        words = [*command_of(f"clients/{client}"), service.url, str(images / "seven.png")]
        printed = ""
        while not refused(service):  # one may arrive just between two requests that fill the queue
            with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
                wait_until(lambda: process.poll() is not None or refused(service), service)
                if refused(service):
                    relieved.set()
                printed, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert '"label":"7"' in printed or "seven.png: 7 (" in printed


FILLER = "filler"  # the ids of the requests that keep the queue full
PAUSE = 0.05  # seconds between two of them


@contextmanager
def full(service: Service) -> Iterator[threading.Event]:
    """Keep the only place in the queue taken until the event that is yielded is set."""
    relieved = threading.Event()

    def fill() -> None:
        headers = {"X-Request-ID": FILLER, "Content-Type": "image/png"}
        while not relieved.wait(PAUSE):
            fetch.post(f"{service.url}/v1/predict", content=SEVEN, headers=headers)

    threads = [threading.Thread(target=fill) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield relieved
    finally:
        relieved.set()
        for thread in threads:
            thread.join()


def refused(service: Service) -> bool:
    """Whether a request that is not one of `full` was refused."""
    return any(
        event.get("status") == 503 and event.get("request_id") != FILLER for event in service.events
    )
