"""Default checks of monitoring tools succeed: HAProxy's health check, wget --spider."""

import subprocess
import time
from pathlib import Path

import pytest

from tests.interop.conftest import address
from tests.interop.programs import required
from tests.interop.proxy import Haproxy, Proxy
from tests.support.program import PATIENCE
from tests.support.running import Service


def test_the_default_check_of_haproxy_succeeds(service: Service, tmp_path: Path) -> None:
    """OPTIONS / HTTP/1.0, without a Host."""
    with Haproxy.started(
        address(service),
        tmp_path,
        backend="option httpchk\n timeout check 10s",
        server="check inter 50ms fall 1",
    ) as proxy:
        deadline = time.monotonic() + PATIENCE
        while not (checked := proxy.checked()):
            assert time.monotonic() < deadline, proxy.log
            time.sleep(0.01)
    assert checked == ("L7OK", "UP")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/", "/metrics", "/v1/status", "/docs"])
def test_wget_spider_finds_every_page(service: Service, path: str) -> None:
    _spider(f"{service.url}{path}")


@pytest.mark.parametrize("path", ["/livez", "/"])
def test_wget_spider_finds_pages_behind_a_proxy(proxy: Proxy, path: str) -> None:
    _spider(f"{proxy.url}{path}")


def _spider(url: str) -> None:
    """Sends HEAD."""
    done = subprocess.run(
        [required("wget"), "--spider", "--tries=1", "--server-response", url],
        capture_output=True,
        text=True,
        env={"LC_ALL": "C"},
    )
    assert done.returncode == 0, done.stderr
    assert " 405 " not in done.stderr  # after which wget would retry with GET
