"""The configurations of deploy/nginx, deploy/caddy and deploy/traefik in front of replicas.

Addresses in them are replaced by those of a test; everything else is started as it is.
"""

import os
import subprocess
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from contract.store import Store
from loadtest.client.result import Address
from tests.interop.balancer import Replicas
from tests.interop.programs import required
from tests.interop.proxy import free_port
from tests.interop.test_balancer import CONNECTIONS, break_off_uploads, lost, predict_during
from tests.support import fetch
from tests.support.program import Program
from tests.support.running import ADMIN, ROOT, wait_until

RATE = 200  # predictions a second while a replica is killed


class Example(Program):
    """A reverse proxy with a configuration of the project."""

    loses = 0  # predictions, at most, when a replica is killed

    def __init__(self, replicas: Replicas, folder: Path) -> None:
        self.port = free_port()
        variables = {
            "DIGITSERVE_BALANCER_BIND": f"http://:{self.port}",
            "DIGITSERVE_REPLICAS": " ".join(f"{host}:{replicas.port}" for host in replicas.running),
            "XDG_DATA_HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
        }
        super().__init__(
            self.command(replicas, folder),
            folder=folder,
            environment=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.url = f"http://127.0.0.1:{self.port}"
        self.address = Address("127.0.0.1", self.port)

    @abstractmethod
    def command(self, replicas: Replicas, folder: Path) -> list[str]:
        """What starts it in the foreground."""

    def hear(self, line: str) -> bool:
        return False

    def wait_until_ready(self) -> None:
        def answers() -> bool:
            assert self.process.poll() is None, self.log
            try:
                return fetch.get(f"{self.url}/readyz").status_code == 200
            except httpx2.ConnectError:
                return False

        wait_until(answers, self)


class Nginx(Example):
    def command(self, replicas: Replicas, folder: Path) -> list[str]:
        text = (ROOT / "deploy/nginx/nginx.conf").read_text()
        (line,) = [line for line in text.splitlines() if "server service:8000" in line]
        servers = [
            line.replace("service:8000", f"{host}:{replicas.port}") for host in replicas.running
        ]
        text = text.replace(line, "\n".join(servers))
        text = text.replace("listen 8000;", f"listen 127.0.0.1:{self.port};")
        (folder / "nginx.conf").write_text(text.replace("/tmp/nginx", f"{folder}/nginx"))
        program = str(required("nginx"))
        return [
            program,
            "-e",
            "stderr",
            "-g",
            "daemon off; master_process off;",
            "-c",
            f"{folder}/nginx.conf",
        ]


class Caddy(Example):
    loses = round(0.4 * RATE)  # it checks every 0.2 s whether a replica is ready

    def command(self, replicas: Replicas, folder: Path) -> list[str]:
        configuration = str(ROOT / "deploy/caddy/Caddyfile")
        return [str(required("caddy")), "run", "--adapter", "caddyfile", "--config", configuration]


class Traefik(Example):
    loses = CONNECTIONS

    def command(self, replicas: Replicas, folder: Path) -> list[str]:
        program = str(required("traefik"))
        for name in ("traefik.yml", "dynamic.yml"):
            text = (ROOT / "deploy/traefik" / name).read_text()
            (folder / name).write_text(text.replace('":8000"', f'"127.0.0.1:{self.port}"'))
        return [program, "--configFile=traefik.yml"]


@pytest.fixture(scope="module")
def replicas(store: Store) -> Iterator[Replicas]:
    with Replicas.started(store, 2) as replicas:
        yield replicas


@pytest.fixture(scope="module", params=[Nginx, Caddy, Traefik])
def example(
    request: pytest.FixtureRequest, replicas: Replicas, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Example]:
    kind: type[Example] = request.param
    with kind(replicas, tmp_path_factory.mktemp(kind.__name__)).while_ready() as example:
        yield example


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/metrics"),
        ("GET", "/%6detrics"),
        ("POST", "/v1/models/digits/rollback"),
        ("POST", "/v1/models/digits/versions/1/activate"),
        ("POST", "/v2/repository/models/digits/load"),
        ("POST", "/v1/retrain"),
        ("GET", "/v1/runs"),
        ("GET", "/v1/feedback"),
        ("DELETE", "/v1/feedback?state=waiting"),
        ("POST", "/v1/feedback/00/accept"),
    ],
)
def test_admin_routes_and_metrics_are_not_published(
    example: Example, method: str, path: str
) -> None:
    assert fetch.request(method, f"{example.url}{path}", headers=ADMIN).status_code == 403


@pytest.mark.parametrize("path", ["/", "/v1/status", "/v1/models", "/v1/samples/random", "/docs"])
def test_other_routes_are_published(example: Example, path: str) -> None:
    assert fetch.get(f"{example.url}{path}").status_code == 200


def test_events_arrive_as_they_are_sent(example: Example) -> None:
    with fetch.stream("GET", f"{example.url}/v1/live") as answer:
        lines = answer.iter_lines()
        assert any(next(lines).startswith("data:") for _ in range(6))


def test_uploads_that_clients_break_off_are_no_failures_of_a_replica(example: Example) -> None:
    break_off_uploads(example.address)
    for _ in range(6):
        assert fetch.get(f"{example.url}/v1/status", timeout=1).status_code == 200


@pytest.mark.parametrize("kind", [Nginx, Caddy, Traefik])
def test_a_killed_replica_loses_no_more_than_the_example_documents(
    store: Store, tmp_path: Path, kind: type[Example]
) -> None:
    with (
        Replicas.started(store, 2) as replicas,
        kind(replicas, tmp_path).while_ready() as example,
    ):
        first = next(iter(replicas.running.values()))
        outcomes = predict_during(first.process.kill, example.address, store, rate=RATE, seconds=3)
    assert sum(lost(outcomes)) <= example.loses
