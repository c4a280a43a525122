"""Locust's users tell right answers from wrong ones, and a refusal from a failure."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.service.running import ROOT, Service

# As it names them; to import it would put gevent's sockets under every test.
PREDICT, REFUSED = "/v1/predict", "/v1/predict, refused"
LOCUST = (
    sys.executable, "-m", "locust", "--locustfile=loadtest/locustfile.py", "--headless",
    "--users=2", "--spawn-rate=2", "--run-time=4s", "--json", "--skip-log-setup",
)  # fmt: skip


def load(url: str) -> tuple[int, dict[str, Any]]:
    """Locust's exit code, and what it tells of each kind of request."""
    done = subprocess.run([*LOCUST, f"--host={url}"], cwd=ROOT, capture_output=True, text=True)
    return done.returncode, {each["name"]: each for each in json.loads(done.stdout)}


def test_a_service_that_works_is_found_right(service: Service) -> None:
    code, told = load(service.url)
    assert code == 0
    assert told[PREDICT]["num_requests"] > 0
    assert told[PREDICT]["num_failures"] == 0


@pytest.mark.parametrize(
    "answer", ["{}", "no JSON", '{"predictions": [{"probabilities": [2, 3], "confidence": 3}]}']
)
def test_an_answer_that_is_no_prediction_is_a_failure(answer: str) -> None:
    with answering(200, answer) as url:
        code, told = load(url)
    assert code == 1
    assert told[PREDICT]["num_failures"] == told[PREDICT]["num_requests"] > 0


def test_a_refusal_that_says_when_to_come_back_is_none() -> None:
    with answering(503, "", ("Retry-After", "1")) as url:
        code, told = load(url)
    assert code == 0
    assert told[REFUSED]["num_requests"] > 0
    assert PREDICT not in told


def test_a_refusal_that_does_not_is_one() -> None:
    with answering(503, "") as url:
        code, told = load(url)
    assert code == 1
    assert told[PREDICT]["num_failures"] > 0


@contextmanager
def answering(status: int, text: str, *headers: tuple[str, str]) -> Iterator[str]:
    """The address of somebody who gives away pictures, and answers this to each that is posted."""

    class Somebody(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, b"a picture")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(status, text.encode(), *headers)

        def _answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
            self.send_response(status)
            for name, value in (*headers, ("Content-Length", str(len(body)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Somebody) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
