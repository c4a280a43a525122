"""Somebody between users and service, who hands on what both say until the load begins.

Before it every request comes once, so it begins with the first that comes again.
"""

import json
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from tests.support.program import PATIENCE
from tests.support.running import Service

HEAD = "Inference-Header-Content-Length"
PASSED_ON = ("Content-Type", HEAD, "Accept", "X-API-Key")


class Said(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None: ...  # users hang up when their time is over


Change = Callable[[str, Said], Said]  # the path that was asked for, what the service said


@contextmanager
def between(service: Service, change: Change, *, refused_at_first: int = 0) -> Iterator[str]:
    """Its address. `change` is for what is said under load; the first requests of all are 503."""
    seen: set[tuple[str, bytes]] = set()
    client = service.client()

    class Somebody(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        left = refused_at_first
        loaded = False

        def do_GET(self) -> None:
            if Somebody.left:
                Somebody.left -= 1
                self._say(Said(503, {}, b"not yet"))
                return
            self._say(self._change(self._asked("GET", b"")))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            Somebody.loaded |= (self.path, body) in seen
            seen.add((self.path, body))
            self._say(self._change(self._asked("POST", body)))

        def _change(self, said: Said) -> Said:
            return change(self.path, said) if Somebody.loaded else said

        def _asked(self, method: str, body: bytes) -> Said:
            headers = {name: self.headers[name] for name in PASSED_ON if name in self.headers}
            answer = client.request(method, self.path, content=body, headers=headers)
            named = {name: answer.headers[name] for name in (HEAD,) if name in answer.headers}
            return Said(answer.status_code, named, answer.content)

        def _say(self, said: Said) -> None:
            self.send_response(said.status)
            for name, value in (said.headers | {"Content-Length": str(len(said.body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said.body)

        def log_message(self, format: str, *_: object) -> None: ...

    with Server(("127.0.0.1", 0), Somebody) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(PATIENCE)
            client.close()


def another_digit(path: str, said: Said) -> Said:
    """A whole answer, with the next digit in it; what was refused is taken."""
    if said.status != 200:
        return said._replace(status=200)
    if HEAD in said.headers:
        length = int(said.headers[HEAD])
        values = struct.unpack("<10f", said.body[length:])
        return said._replace(
            body=said.body[:length] + struct.pack("<10f", *values[-1:], *values[:-1])
        )
    reported = json.loads(said.body)
    for prediction in reported["predictions"]:
        prediction["label"] = str((int(prediction["label"]) + 1) % 10)
    return said._replace(body=json.dumps(reported).encode())
