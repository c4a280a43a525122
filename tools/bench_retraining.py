"""The latency of predictions beside a training, or its watchers: make bench-retraining

Starts a service on the current version and sends 400 requests a second in an open loop, alternately
alone and beside a training: with the priority of other programs; with the lowest (nice 19); with
the lowest and off one core, as a retraining worker runs it; with the lowest and the time of one
core at most, as compose limits it (a cgroup, which needs root). A training that is not measured is
stopped. With --watchers 16, it is beside as many clients that watch /v1/live, and beside as many
that watch the events of a job that waits. Prints p99 of each, and the median over the rounds of its
ratio to that alone in the same round.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from contract.command_line import program
from contract.job_connection import create
from contract.programs import NICE, leave_one_core
from loadtest.client.openloop.generator import generate
from loadtest.client.openloop.processes import poisson
from loadtest.client.openloop.result import Outcomes
from loadtest.client.requests import SampleImages, answered_right, requests_of
from loadtest.client.result import Address, quantile
from tests.support.running import ADMIN, TOKEN, Service
from tools.watchers import watched

CGROUPS = Path("/sys/fs/cgroup")
PERIOD = "100000"  # microseconds
ALONE, PLAIN, NICED = "alone", "beside a training", "at nice 19"
SPARING, LIMITED = "at nice 19, a core left", "at nice 19, limited"
Condition = Callable[[], AbstractContextManager[None]]


class Training:
    """A training that runs only between `go_on` and `pause`."""

    def __init__(
        self,
        folder: Path,
        data: str,
        prefix: Sequence[str] = (),
        group: Path | None = None,
        *,
        sparing: bool = False,
    ) -> None:
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "training", f"--data={data}", "--preset=better",
             "--epochs=1000", f"--runs={folder}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        if sparing:
            leave_one_core(self._process.pid)
        if group:
            (group / "cgroup.procs").write_text(str(self._process.pid))
        while not list(folder.glob("*/progress.jsonl")):  # it reads the data set at first
            if self._process.poll() is not None:
                raise SystemExit(f"the training ended with code {self._process.returncode}")
            time.sleep(0.2)
        self.pause()

    def pause(self) -> None:
        os.killpg(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    @contextmanager
    def running(self) -> Iterator[None]:
        self.go_on()
        try:
            yield
        finally:
            self.pause()

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def main() -> None:
    parser = program("tools.bench_retraining", __doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--data", default="mnist", help="of the training; default: mnist")
    parser.add_argument("--rate", type=float, default=400, help="requests a second; default: 400")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=7, help="of each measurement; default: 7")
    parser.add_argument(
        "--watchers", type=int, metavar="N", help="measure beside N watchers instead of a training"
    )
    arguments = parser.parse_args()
    images = SampleImages.of_current(arguments.models, "digits")
    p99: dict[str, list[float]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if arguments.watchers:
            begun = stack.enter_context(_watched_service(arguments, folder))
        else:
            begun = stack.enter_context(_service_and_trainings(arguments, folder))
        address, conditions = begun
        requests = answered_right(address, requests_of(images))
        for turn in range(arguments.rounds + 1):  # the first one warms up
            for name, condition in [(ALONE, nullcontext), *conditions.items()]:
                intended = poisson(arguments.rate, arguments.seconds, (turn,))
                with condition():
                    found = generate(address, requests, intended)
                if turn:
                    p99.setdefault(name, []).append(quantile(found.latencies, 0.99))
                    _print(turn, name, found)
    print(
        f"{os.cpu_count()} cores, {arguments.rate:g} requests a second, {arguments.rounds} rounds"
    )
    for name, times in p99.items():
        ratios = [each / alone for each, alone in zip(times, p99[ALONE], strict=True)]
        print(f"{name:23} p99 {median(times) * 1e3:6.1f} ms, {median(ratios):.2f} times that alone "
              f"({min(ratios):.2f} to {max(ratios):.2f})")  # fmt: skip


def _print(turn: int, name: str, found: Outcomes) -> None:
    p50, p99 = (quantile(found.latencies, q) * 1e3 for q in (0.5, 0.99))
    print(
        f"round {turn}  {name:23} p50 {p50:5.1f} ms  p99 {p99:6.1f} ms, {found.errors:.2%} errors",
        flush=True,
    )


@contextmanager
def _service_and_trainings(
    arguments: Namespace, folder: Path
) -> Iterator[tuple[Address, dict[str, Condition]]]:
    with (
        _trainings(folder, arguments.data) as trainings,
        Service.started(arguments.models) as service,
    ):
        yield (
            _address(service),
            {name: training.running for name, training in trainings.items()},
        )


@contextmanager
def _watched_service(
    arguments: Namespace, folder: Path
) -> Iterator[tuple[Address, dict[str, Condition]]]:
    """A service with a job that waits, for there is no worker."""
    database = f"sqlite:///{folder / 'jobs.sqlite'}"
    create(database)
    count = arguments.watchers
    settings = {"jobs": database, "admin_token": TOKEN, "max_watchers": count}
    with Service.started(arguments.models, **settings) as service:
        with service.client(headers=ADMIN) as client:
            job = client.post("/v1/retrain").raise_for_status().json()["id"]
        address = _address(service)
        events = f"/v1/retrain/{job}/events"
        yield (
            address,
            {
                f"{count} watch /v1/live": partial(watched, address, "/v1/live", count),
                f"{count} watch a job": partial(watched, address, events, count, ADMIN),
            },
        )


def _address(service: Service) -> Address:
    url = urlsplit(service.url)
    return Address(url.hostname or "", url.port or 0)


@contextmanager
def _trainings(folder: Path, data: str) -> Iterator[dict[str, Training]]:
    """A training of each kind, paused."""
    with ExitStack() as stack:
        kinds: dict[str, dict[str, Any]] = {
            PLAIN: {},
            NICED: {"prefix": NICE},
            SPARING: {"prefix": NICE, "sparing": True},
        }
        group = stack.enter_context(_one_core())
        if group:
            kinds[LIMITED] = {"prefix": NICE, "group": group}
        trainings = {}
        for number, (name, options) in enumerate(kinds.items()):
            print(f"Starting a training {name}", flush=True)
            training = Training(folder / str(number), data, **options)
            stack.callback(training.close)
            trainings[name] = training
        yield trainings


@contextmanager
def _one_core() -> Iterator[Path | None]:
    """A cgroup that may use one core; None where it cannot be made."""
    is_v2 = (CGROUPS / "cgroup.controllers").exists()
    group = (CGROUPS if is_v2 else CGROUPS / "cpu") / "digitserve-bench"
    try:
        group.mkdir(exist_ok=True)
        if is_v2:
            (group / "cpu.max").write_text(f"{PERIOD} {PERIOD}")
        else:
            (group / "cpu.cfs_period_us").write_text(PERIOD)
            (group / "cpu.cfs_quota_us").write_text(PERIOD)
    except OSError as error:
        print(f"LEFT OUT: {LIMITED}: {error}", file=sys.stderr)
        yield None
        return
    try:
        yield group
    finally:
        with suppress(OSError):
            group.rmdir()


if __name__ == "__main__":
    main()
