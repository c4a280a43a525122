"""nginx, Caddy and HAProxy in front of a service, each configured as in its manual.

Each forbids /metrics, which an attacker wants to reach. A proxy runs in the foreground as a single
process without root, and writes only to a folder of the test.
"""

import os
import socket
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import ClassVar, Self

from tests.interop.programs import required
from tests.support.program import PATIENCE, Program


class Proxy(Program):
    name: ClassVar[str]
    template: ClassVar[str]  # of the configuration; %(...)s as in `__init__`
    defaults: ClassVar[Mapping[str, str]] = {}  # values of a template

    def __init__(self, upstream: str, folder: Path, **values: str) -> None:
        """`upstream` is host:port, or the path of a Unix socket."""
        program = required(self.name)
        self.port = free_port()
        self.folder = folder
        path = folder / f"{self.name}.conf"
        given = {
            "upstream": self.unix(upstream) if upstream.startswith("/") else upstream,
            "port": str(self.port),
            "folder": str(folder),
        }
        path.write_text(self.configuration({**self.defaults, **given, **values}))
        environment = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        super().__init__(
            [str(program), *self.arguments(path)], environment={**os.environ, **environment}
        )
        self.url = f"http://127.0.0.1:{self.port}"

    @classmethod
    @contextmanager
    def started(cls, upstream: str, folder: Path, **values: str) -> Iterator[Self]:
        """A proxy that accepts connections; it is stopped with the block."""
        with cls(upstream, folder, **values).while_ready() as proxy:
            yield proxy

    def configuration(self, values: Mapping[str, str]) -> str:
        return self.template % values

    @abstractmethod
    def arguments(self, configuration: Path) -> Sequence[str]:
        """The arguments that keep it in the foreground."""

    @abstractmethod
    def unix(self, path: str) -> str:
        """The address of a Unix socket in its configuration."""

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            assert self.process.poll() is None, self.log
            try:
                self.connect().close()
                return
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, self.log
                time.sleep(0.01)

    def hear(self, line: str) -> bool:
        return False

    def connect(self, timeout: float = PATIENCE) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def client(self, timeout: float = PATIENCE) -> HTTPConnection:
        """A client that keeps its connection open."""
        return HTTPConnection("127.0.0.1", self.port, timeout=timeout)


class Nginx(Proxy):
    name = "nginx"
    # The map is that of nginx's manual on WebSocket, except that it leaves the connections of other
    # requests open, for `keepalive`.
    template = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr notice;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxied;
    fastcgi_temp_path fastcgi;
    scgi_temp_path scgi;
    uwsgi_temp_path uwsgi;
    map $http_upgrade $connection_upgrade {
        default upgrade;
        ''      '';
    }
    upstream service {
        server %(upstream)s;
        keepalive 64;
        keepalive_timeout %(keepalive_timeout)s;
    }
    server {
        listen 127.0.0.1:%(port)s;
        client_max_body_size 20m;
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        location = /metrics { return 403; }
        location / { proxy_pass http://service/; }
    }
}
"""
    defaults: ClassVar = {"keepalive_timeout": "60s"}

    def arguments(self, configuration: Path) -> Sequence[str]:
        return ["-e", "stderr", "-p", str(self.folder), "-c", str(configuration)]

    def unix(self, path: str) -> str:
        return f"unix:{path}"


class Caddy(Proxy):
    name = "caddy"
    template = """
{
    admin off
    auto_https off
}
http://:%(port)s {
    bind 127.0.0.1
    handle /metrics {
        respond 403
    }
    handle {
        reverse_proxy %(upstream)s
    }
}
"""

    def arguments(self, configuration: Path) -> Sequence[str]:
        return ["run", "--adapter", "caddyfile", "--config", str(configuration)]

    def unix(self, path: str) -> str:
        return f"unix/{path}"


class Haproxy(Proxy):
    name = "haproxy"
    template = """
global
    log stderr format raw local0
    stats socket %(folder)s/haproxy.sock
defaults
    mode http
    log global
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    http-reuse always
frontend entrance
    bind 127.0.0.1:%(port)s
    http-request deny if { path /metrics }
    default_backend service
backend service
    %(backend)s
    server one %(upstream)s %(server)s
"""
    defaults: ClassVar = {"backend": "", "server": ""}

    def arguments(self, configuration: Path) -> Sequence[str]:
        return ["-db", "-f", str(configuration)]

    def unix(self, path: str) -> str:
        return f"unix@{path}"

    def checked(self) -> tuple[str, str] | None:
        """The result of the latest check of its only server, and the state of that server."""
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(str(self.folder / "haproxy.sock"))
            except FileNotFoundError:  # it follows the port
                return None
            connection.sendall(b"show stat -1 4 -1\n")
            names, values = connection.makefile().read().splitlines()[:2]
        row = dict(zip(names.removeprefix("# ").split(","), values.split(","), strict=True))
        check = row["check_status"].removeprefix("* ")  # while another check is running
        return None if check in ("", "INI") else (check, row["status"])


PROXIES: tuple[type[Proxy], ...] = (Nginx, Caddy, Haproxy)


def free_port() -> int:
    """A port that the kernel assigns to no other program for a minute, unless it is requested.

    A connection that was closed on the server's side leaves the port in TIME_WAIT, where
    SO_REUSEADDR, which all proxies set, may still bind it.
    """
    with socket.socket() as listener, socket.socket() as client:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        client.connect(listener.getsockname())
        accepted, _ = listener.accept()
        accepted.close()
        client.recv(1)
        port: int = listener.getsockname()[1]
    return port
