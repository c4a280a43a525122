"""The latency of predictions beside a training on the same cores: make bench-retraining

Starts a service on the current version and sends 400 requests a second in an open loop, alternately
alone and beside a training: with the priority of other programs, with that of a retraining worker
(nice 19), and with nice 19 and one core at most, as compose limits it (a cgroup, which needs root).
A training that is not measured is stopped. Prints p99 of each, and the median over the rounds of
its ratio to that alone in the same round.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from contract.programs import NICE
from loadtest.client.openloop.generator import generate
from loadtest.client.openloop.processes import poisson
from loadtest.client.openloop.result import Outcomes
from loadtest.client.requests import SampleImages, answered_right, requests_of
from loadtest.client.result import Address, quantile
from tests.support.running import Service

CGROUPS = Path("/sys/fs/cgroup")
PERIOD = "100000"  # microseconds
ALONE, PLAIN, NICED, LIMITED = "alone", "beside a training", "at nice 19", "at nice 19, one core"


class Training:
    """A training that runs only between `go_on` and `pause`."""

    def __init__(self, folder: Path, data: str, prefix: Sequence[str], group: Path | None) -> None:
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "training", f"--data={data}", "--preset=better",
             "--epochs=1000", f"--runs={folder}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
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

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def main() -> None:
    parser = ArgumentParser(
        "python -m tools.bench_retraining",
        description=__doc__,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--data", default="mnist", help="of the training; default: mnist")
    parser.add_argument("--rate", type=float, default=400, help="requests a second; default: 400")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=7, help="of each measurement; default: 7")
    arguments = parser.parse_args()
    images = SampleImages.of_current(arguments.models, "digits")
    p99: dict[str, list[float]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        trainings = dict(stack.enter_context(_trainings(folder, arguments.data)))
        service = stack.enter_context(Service.started(arguments.models))
        url = urlsplit(service.url)
        address = Address(url.hostname or "", url.port or 0)
        requests = answered_right(address, requests_of(images))
        for turn in range(arguments.rounds + 1):  # the first one warms up
            for name, training in [(ALONE, None), *trainings.items()]:
                if training:
                    training.go_on()
                intended = poisson(arguments.rate, arguments.seconds, (turn,))
                found = generate(address, requests, intended)
                if training:
                    training.pause()
                if turn:
                    p99.setdefault(name, []).append(quantile(found.latencies, 0.99))
                    _print(turn, name, found)
    print(
        f"{os.cpu_count()} cores, {arguments.rate:g} requests a second, {arguments.rounds} rounds"
    )
    for name, times in p99.items():
        ratios = [each / alone for each, alone in zip(times, p99[ALONE], strict=True)]
        print(f"{name:22} p99 {median(times) * 1e3:6.1f} ms, {median(ratios):.2f} times that alone "
              f"({min(ratios):.2f} to {max(ratios):.2f})")  # fmt: skip


def _print(turn: int, name: str, found: Outcomes) -> None:
    p50, p99 = (quantile(found.latencies, q) * 1e3 for q in (0.5, 0.99))
    print(
        f"round {turn}  {name:22} p50 {p50:5.1f} ms  p99 {p99:6.1f} ms, {found.errors:.2%} errors",
        flush=True,
    )


@contextmanager
def _trainings(folder: Path, data: str) -> Iterator[dict[str, Training]]:
    """A training of each kind, paused."""
    with ExitStack() as stack:
        kinds: dict[str, tuple[Sequence[str], Path | None]] = {
            PLAIN: ((), None),
            NICED: (NICE, None),
        }
        group = stack.enter_context(_one_core())
        if group:
            kinds[LIMITED] = (NICE, group)
        trainings = {}
        for number, (name, (prefix, limit)) in enumerate(kinds.items()):
            print(f"Starting a training {name}", flush=True)
            training = Training(folder / str(number), data, prefix, limit)
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
