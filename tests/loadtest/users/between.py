"""A proxy between users and service that forwards requests unchanged until the load starts.

Each request is sent once before the load, which therefore starts with the first repeated request.
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


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None: ...  # users disconnect when their time is over


Change = Callable[[str, Response], Response]  # the requested path, the response of the service


@contextmanager
def between(service: Service, change: Change, *, refused_at_first: int = 0) -> Iterator[str]:
    """The address of the proxy. `change` modifies responses under load; the first ones are 503."""
    seen: set[tuple[str, bytes]] = set()
    client = service.client()

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        left = refused_at_first
        loaded = False

        def do_GET(self) -> None:
            if Proxy.left:
                Proxy.left -= 1
                self._send(Response(503, {}, b"not yet"))
                return
            self._send(self._change(self._forward("GET", b"")))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            Proxy.loaded |= (self.path, body) in seen
            seen.add((self.path, body))
            self._send(self._change(self._forward("POST", body)))

        def _change(self, response: Response) -> Response:
            return change(self.path, response) if Proxy.loaded else response

        def _forward(self, method: str, body: bytes) -> Response:
            headers = {name: self.headers[name] for name in PASSED_ON if name in self.headers}
            answer = client.request(method, self.path, content=body, headers=headers)
            named = {name: answer.headers[name] for name in (HEAD,) if name in answer.headers}
            return Response(answer.status_code, named, answer.content)

        def _send(self, response: Response) -> None:
            self.send_response(response.status)
            for name, value in (
                response.headers | {"Content-Length": str(len(response.body))}
            ).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(response.body)

        def log_message(self, format: str, *_: object) -> None: ...

    with Server(("127.0.0.1", 0), Proxy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(PATIENCE)
            client.close()


def another_digit(path: str, response: Response) -> Response:
    """A valid response with the next digit; rejections are turned into successes."""
    if response.status != 200:
        return response._replace(status=200)
    if HEAD in response.headers:
        length = int(response.headers[HEAD])
        values = struct.unpack("<10f", response.body[length:])
        return response._replace(
            body=response.body[:length] + struct.pack("<10f", *values[-1:], *values[:-1])
        )
    reported = json.loads(response.body)
    for prediction in reported["predictions"]:
        prediction["label"] = str((int(prediction["label"]) + 1) % 10)
    return response._replace(body=json.dumps(reported).encode())
