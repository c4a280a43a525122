"""Two services that a Prometheus scrapes while all kinds of visitors send requests.

one process, a fake GPU ────┐
                            ├── scraped each second ──► Watched
two workers, one is killed ─┤
HAProxy in front of both  ──┘     only if it is installed
"""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from contract.card import ONNX
from contract.store import Store
from tests.interop.balancer import Balancer, NameServer
from tests.interop.programs import found
from tests.interop.proxy import free_port
from tests.monitoring.dashboards import Question, spelled
from tests.monitoring.prometheus import Prometheus
from tests.monitoring.series import Series, along, wait_for
from tests.monitoring.visitors import KEY, Visitors
from tests.support.running import ROOT, TOKEN, Service

FAKE_NVML = ROOT / "tests/support/fake_gpu"  # a fake of NVIDIA's library
SWITCHES = (
    (0.2, "versions/2/activate"),
    (0.4, "versions/4/activate"),  # whose file is damaged
    (0.7, "versions/3/activate"),
    (0.85, "rollback"),
)
ONE, TWO = "127.0.1.1", "127.0.1.2"  # the addresses of the services
SETTINGS = {"admin_token": TOKEN, "api_keys": KEY, "watch_seconds": 0.2, "drain_seconds": 0}


@dataclass(frozen=True)
class Watched:
    prometheus: Prometheus
    began: float  # seconds since 1970, as is the end
    ended: float

    def answers(self, question: Question, *, window: float = 10, step: float = 1) -> list[Series]:
        """What the panel would show at each moment."""
        text = spelled(question.text, shown=self.ended - self.began, window=window, step=step)
        return along(self.prometheus, text, self.began, self.ended, step)


@contextmanager
def watched(store: Store, pictures: list[bytes], folder: Path, seconds: float) -> Iterator[Watched]:
    """A store of versions 1 to 3, files of digits, a folder for Prometheus.

    Yields when all visitors are done; services and Prometheus stop with the block.
    """
    _add_a_damaged_version(store)
    port = free_port()
    with (
        _one(store, port) as one,
        _two(store, port) as two,
        _balancer(port) as balancer,
        Prometheus.started(one, folder, two, balancer=balancer) as prometheus,
    ):
        wait_for(prometheus, 'sum(up{job="digitserve"}) == 2')
        began = time.time()
        asyncio.run(_visit(one, two, balancer, pictures, seconds))
        yield Watched(prometheus, began, time.time())


def _add_a_damaged_version(store: Store) -> None:
    shutil.copytree(store.folder / "3", store.folder / "4")
    with (store.folder / "4" / ONNX).open("ab") as file:
        file.write(b"damage")


@contextmanager
def _one(store: Store, port: int) -> Iterator[Service]:
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(FAKE_NVML)
    try:
        with Service.started(
            store.folder.parent, host=ONE, port=port, max_queue=128, threads=1, **SETTINGS
        ) as service:
            yield service
    finally:
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


@contextmanager
def _two(store: Store, port: int) -> Iterator[Service]:
    with Service.started(
        store.folder.parent, host=TWO, port=port, workers=2, threads=1, **SETTINGS
    ) as service:
        yield service
        service.send(signal.SIGTERM)  # if killed, it would leave a folder for the workers to remove
        service.exit_code()


@contextmanager
def _balancer(port: int) -> Iterator[Balancer | None]:
    if found("haproxy") is None:
        yield None
        return
    names = NameServer()
    names.addresses = (ONE, TWO)
    with Balancer(names, port).while_ready() as balancer:
        yield balancer
    names.close()


async def _visit(
    one: Service, two: Service, balancer: Balancer | None, pictures: list[bytes], seconds: float
) -> None:
    async def accident() -> None:
        await asyncio.sleep(0.3 * seconds)
        os.kill(await asyncio.to_thread(_a_worker, two), signal.SIGKILL)

    async def others() -> None:
        """A steady client of the balancer."""
        if balancer is None:
            return
        end = time.monotonic() + seconds
        async with httpx2.AsyncClient(base_url=balancer.url, headers={"X-API-Key": KEY}) as client:
            while time.monotonic() < end:
                await client.post("/v1/predict", content=pictures[0])
                await asyncio.sleep(0.1)

    await asyncio.gather(
        others(),
        Visitors(one, pictures, seconds).come(crowd=4, switches=SWITCHES),
        Visitors(two, pictures, seconds).come(),
        accident(),
    )


def _a_worker(service: Service) -> int:
    with service.client(headers={"X-API-Key": KEY}) as client:
        pid: int = client.get("/v1/status").json()["workers"][0]["pid"]
        return pid
