"""A visit posts images, and batches to targets that accept them; the others are skipped."""

import sys
from pathlib import Path

import numpy as np
import pytest

from contract.card import DigitPreparation
from loadtest.bench.measure import BATCHES, IMAGES, Plan, Tool, Visit, visit
from loadtest.client import asyncio_client as client
from loadtest.client.requests import SampleImages
from loadtest.host.machine import Placement
from loadtest.target.targets import Target
from preprocessing.preparation import preparer_of

# Reads a seven in every image; answers batches with the given status and all else with `body`.
SERVER = """
import signal, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        batch = self.path == "/v2/models/digits/infer"
        answer = sys.argv[3].encode()
        self.send_response(int(sys.argv[2]) if batch else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *words):
        pass

signal.signal(signal.SIGINT, signal.SIG_DFL)  # which is ignored where tests run in the background
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
PIXELS = np.zeros((2, 28, 28), np.uint8)
DIGITS = preparer_of(DigitPreparation(), (28, 28))
SEVEN_AND_ONE = SampleImages(Path("nowhere"), PIXELS, ["7", "1"], [b"an image", b"another"], DIGITS)


def visited(status: int, body: str = '{"predictions":[{"label":"7"}]}') -> Visit:
    target = Target(
        "fake",
        lambda port: [sys.executable, "-c", SERVER, str(port), str(status), body],
        connections=(2, 1),
        takes_batches=True,
    )
    plan = Plan(
        tool=Tool("asyncio", client.run_load),
        seconds=0.05,
        batches=True,
        model="digits",
        cores=Placement.of(generators=1),
    )
    return visit(target, SEVEN_AND_ONE, plan)


def test_images_and_batches_are_measured_and_correct_answers_counted() -> None:
    found = visited(200)
    assert [each.posted for each in found.measured] == [IMAGES, IMAGES, BATCHES]
    assert [each.connections for each in found.measured] == [2, 1, 4]
    assert all(each.load.answers > 0 == each.load.refused for each in found.measured)
    assert (found.right, found.images, found.skipped) == (1, 2, "")


@pytest.mark.parametrize("body", ["seven", "7", '{"predictions":[]}', '{"digits":[7]}'])
def test_an_answer_without_a_label_is_not_correct(body: str) -> None:
    assert visited(200, body).right == 0


@pytest.mark.parametrize(
    ("status", "why"),
    [(404, "/v2/models/{name}/infer answered 404: {"), (422, "answered 422: {")],
)
def test_unsupported_batches_are_skipped_with_the_reason(status: int, why: str) -> None:
    found = visited(status)
    assert [each.posted for each in found.measured] == [IMAGES, IMAGES]
    assert found.of(BATCHES, 4) is None
    assert why in found.skipped
