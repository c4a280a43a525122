"""Two services that a Prometheus scrapes while all kinds of visitors send requests.

one process, a fake GPU ────┐
                            ├── scraped each second ──► Watched
two workers, one is killed ─┘
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

from contract.card import ONNX
from contract.store import Store
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
    with (
        _one(store) as one,
        _two(store) as two,
        Prometheus.started(one, folder, two) as prometheus,
    ):
        wait_for(prometheus, 'sum(up{job="digitserve"}) == 2')
        began = time.time()
        asyncio.run(_visit(one, two, pictures, seconds))
        yield Watched(prometheus, began, time.time())


def _add_a_damaged_version(store: Store) -> None:
    shutil.copytree(store.folder / "3", store.folder / "4")
    with (store.folder / "4" / ONNX).open("ab") as file:
        file.write(b"damage")


@contextmanager
def _one(store: Store) -> Iterator[Service]:
    found = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(FAKE_NVML)
    try:
        with Service.started(store.folder.parent, max_queue=128, threads=1, **SETTINGS) as service:
            yield service
    finally:
        os.environ.pop("PYTHONPATH") if found is None else os.environ.update(PYTHONPATH=found)


@contextmanager
def _two(store: Store) -> Iterator[Service]:
    with Service.started(store.folder.parent, workers=2, threads=1, **SETTINGS) as service:
        yield service
        service.send(signal.SIGTERM)  # if killed, it would leave a folder for the workers to remove
        service.exit_code()


async def _visit(one: Service, two: Service, pictures: list[bytes], seconds: float) -> None:
    async def accident() -> None:
        await asyncio.sleep(0.3 * seconds)
        os.kill(await asyncio.to_thread(_a_worker, two), signal.SIGKILL)

    await asyncio.gather(
        Visitors(one, pictures, seconds).come(crowd=4, switches=SWITCHES),
        Visitors(two, pictures, seconds).come(),
        accident(),
    )


def _a_worker(service: Service) -> int:
    with service.client(headers={"X-API-Key": KEY}) as client:
        pid: int = client.get("/v1/status").json()["workers"][0]["pid"]
        return pid
