"""Alertmanager sends the alerts of a real Prometheus to the receivers of the example."""

import json
import re
import threading
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from socketserver import StreamRequestHandler, TCPServer
from typing import Any

import pytest

from contract.store import Store
from contract.version import Version
from tests.interop.programs import required
from tests.interop.proxy import free_port
from tests.monitoring.prometheus import RUNBOOK, Prometheus
from tests.support import fetch
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


class MailServer(TCPServer):
    """Collects what is sent to it by SMTP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Dialogue)
        self.mails: Queue[Message] = Queue()
        self.address = f"127.0.0.1:{self.server_address[1]}"


class _Dialogue(StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self._reply("220 mail")
        for line in self.rfile:
            command = line.split()[0].upper()
            if command == b"EHLO":
                self._reply("250-mail\r\n250 AUTH PLAIN")
            elif command == b"AUTH":
                self._reply("235 accepted")
            elif command == b"DATA":
                self._reply("354 end with a dot")
                lines = iter(self.rfile.readline, b".\r\n")
                self.server.mails.put(message_from_bytes(b"".join(lines)))
                self._reply("250 sent")
            else:
                self._reply("221 bye" if command == b"QUIT" else "250 ok")

    def _reply(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


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
def mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def alertmanager(
    web_hook: WebHook, mail_server: MailServer, tmp_path: Path
) -> Iterator[Alertmanager]:
    """The example with addresses filled in; it sends a mail at once, and without TLS."""
    receivers = tmp_path / "receivers.yml"
    text = re.sub(r"url: \S+", f"url: {web_hook.url}", EXAMPLE.read_text())
    smarthost = f"smarthost: {mail_server.address}\n        require_tls: false"
    text = re.sub(r"smarthost: \S+", smarthost, text)
    receivers.write_text(text.replace("group_wait: 30s", "group_wait: 0s"))
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


def test_a_ticket_is_sent_by_mail(alertmanager: Alertmanager, mail_server: MailServer) -> None:
    labels = {"alertname": "ModelSwapFails", "job": "digitserve", "severity": "ticket"}
    fetch.post(f"{alertmanager.url}/api/v2/alerts", json=[{"labels": labels}]).raise_for_status()
    mail = mail_server.mails.get(timeout=PATIENCE)
    assert mail["To"] == "team@example.com"
    assert "FIRING" in mail["Subject"]
    assert "ModelSwapFails" in mail["Subject"]
