"""Alertmanager sends the alerts of a real Prometheus to the receivers of the example."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from contract.store import Store
from contract.version import Version
from tests.interop.programs import required
from tests.interop.proxy import free_port
from tests.monitoring.prometheus import RUNBOOK, Prometheus
from tests.support.program import PATIENCE, Program
from tests.support.running import ROOT, Service, wait_until

EXAMPLE = ROOT / "deploy/alertmanager/receivers.example.yml"


class WebHook(HTTPServer):
    """Collects what is posted to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.messages: Queue[Any] = Queue()
        self.url = f"http://127.0.0.1:{self.server_port}/alerts"


class _Handler(BaseHTTPRequestHandler):
    server: WebHook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.messages.put(json.loads(body))
        self.send_response(200)
        self.end_headers()


class Alertmanager(Program):
    def __init__(self, receivers: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        super().__init__(
            [
                str(required("prometheus-alertmanager")),
                f"--config.file={receivers}",
                f"--storage.path={receivers.parent}",
                f"--web.listen-address={self.address}",
                "--cluster.listen-address=",
            ]
        )

    def hear(self, line: str) -> bool:
        self.url = f"http://{self.address}"
        return "Listening on" in line


@pytest.fixture
def web_hook() -> Iterator[WebHook]:
    with WebHook() as hook:
        threading.Thread(target=hook.serve_forever, daemon=True).start()
        yield hook
        hook.shutdown()


@pytest.fixture
def alertmanager(web_hook: WebHook, tmp_path: Path) -> Iterator[Alertmanager]:
    receivers = tmp_path / "receivers.yml"
    receivers.write_text(re.sub(r"url: \S+", f"url: {web_hook.url}", EXAMPLE.read_text()))
    with Alertmanager(receivers).while_ready() as alertmanager:
        yield alertmanager


def test_an_alert_reaches_the_web_hook(
    published: tuple[Store, Version], web_hook: WebHook, alertmanager: Alertmanager, tmp_path: Path
) -> None:
    with (
        Service.started(published[0].folder.parent, drain_seconds=0) as service,
        Prometheus.started(service, tmp_path, alertmanager=alertmanager.address) as prometheus,
    ):
        wait_until(lambda: 1.0 in prometheus.query('up{job="digitserve"}').values(), service)
        service.process.kill()
        message = web_hook.messages.get(timeout=PATIENCE)
    assert (message["receiver"], message["status"]) == ("on-call", "firing")
    (alert,) = message["alerts"]
    assert alert["labels"]["alertname"] == "TargetDown"
    assert alert["labels"]["severity"] == "page"
    assert alert["annotations"]["runbook_url"] == f"{RUNBOOK}#targetdown"
    assert "runbook" not in alert["labels"]
