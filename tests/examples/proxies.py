"""The proxies of examples/proxies in front of two services, with the addresses of a test."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Self

import httpx2

from tests.examples.programs import EXAMPLES
from tests.interop.certificate import write_certificate
from tests.interop.proxy import Caddy, Haproxy, Nginx, Proxy
from tests.support.running import Service

CERTIFICATES = "/etc/ssl/digitserve"  # in the examples


class Published(Proxy):
    """A proxy that terminates TLS; only addresses and paths of its example are replaced."""

    example: ClassVar[str]
    certificate: Path

    @classmethod
    @contextmanager
    def published(cls, services: Sequence[Service], folder: Path) -> Iterator[Self]:
        first, second = (httpx2.URL(service.url).netloc.decode() for service in services)
        certificate, key = write_certificate(folder)
        (folder / "both.pem").write_bytes(certificate.read_bytes() + key.read_bytes())
        with cls.started(first, folder, second=second) as proxy:
            proxy.certificate = certificate
            yield proxy

    def configuration(self, values: Mapping[str, str]) -> str:
        text = (EXAMPLES / "proxies" / self.example).read_text()
        replaced = {
            "127.0.0.1:8001": values["upstream"],
            "127.0.0.1:8002": values["second"],
            CERTIFICATES: values["folder"],
            **self.replaced(values),
        }
        for old, new in replaced.items():
            assert old in text, f"{self.example} has no {old}"
            text = text.replace(old, new)
        return text

    @abstractmethod
    def replaced(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """What else is replaced, such as the port that clients connect to."""


class PublishedNginx(Published, Nginx):
    example = "nginx.conf"

    def replaced(self, values: Mapping[str, str]) -> Mapping[str, str]:
        kinds = ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")
        folders = "".join(f"{kind}_temp_path {kind};" for kind in kinds)
        return {
            "listen 443 ssl": f"listen 127.0.0.1:{values['port']} ssl",
            "events {}": "daemon off; master_process off; pid nginx.pid; events {}",
            "access_log off;": f"access_log off; {folders}",
        }


class PublishedCaddy(Published, Caddy):
    example = "Caddyfile"

    def replaced(self, values: Mapping[str, str]) -> Mapping[str, str]:
        return {"https://images.example.com:443": f"https://127.0.0.1:{values['port']}"}


class PublishedHaproxy(Published, Haproxy):
    example = "haproxy.cfg"

    def replaced(self, values: Mapping[str, str]) -> Mapping[str, str]:
        return {"bind :443": f"bind 127.0.0.1:{values['port']}"}


PUBLISHED: tuple[type[Published], ...] = (PublishedNginx, PublishedCaddy, PublishedHaproxy)
