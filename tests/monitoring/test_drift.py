"""Images unlike the test set raise the index of the quantities that they change."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from contract.store import Store
from contract.version import Version
from preprocessing.statistics import Pixels
from tests.fixtures import Judged
from tests.monitoring.prometheus import Prometheus
from tests.support.running import Service, status, wait_until
from tests.support.tensors import client_of, inputs_of

LIMIT = 0.25  # of the alert
SECONDS = 4.0  # in each of which 64 images are sampled
TOGETHER = 20  # images in a request


@pytest.fixture
def service(published: tuple[Store, Version]) -> Iterator[Service]:
    with Service.started(published[0].folder.parent) as service:
        yield service


def send(service: Service, pixels: Pixels) -> None:
    """In requests that are spread over some seconds, so that nearly all images are sampled."""
    with client_of(service) as client:
        for first in range(0, len(pixels), TOGETHER):
            client.infer("digits", inputs_of(pixels[first : first + TOGETHER]))
            time.sleep(SECONDS * TOGETHER / len(pixels))


def indexes(prometheus: Prometheus) -> dict[str, float]:
    found = prometheus.query("digitserve:input_psi:1h")
    return {json.loads(labels)["quantity"]: index for labels, index in found.items()}


def test_the_index_rises_when_the_images_change(
    service: Service, judged: Judged, tmp_path: Path
) -> None:
    pen = np.ones((3, 3), np.uint8)
    thick = np.stack([np.asarray(cv2.dilate(each, pen), np.uint8) for each in judged.pixels])
    with Prometheus.started(service, tmp_path) as prometheus:
        wait_until(lambda: prometheus.query("digitserve:input_images:increase1h"), service)
        send(service, judged.pixels)
        wait_until(lambda: indexes(prometheus), service)
        assert max(indexes(prometheus).values()) < LIMIT
        send(service, thick)
        wait_until(lambda: indexes(prometheus)["stroke_width"] > LIMIT, service)
        assert indexes(prometheus)["ink_share"] > LIMIT
        reported = {each["quantity"]: each["psi"] for each in status(service)["input_changes"]}
        wait_until(lambda: indexes(prometheus) == pytest.approx(reported, abs=0.1), service)
