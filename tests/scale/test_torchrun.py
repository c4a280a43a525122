"""Two hosts train one network with torchrun, as docs/how-to/training.md describes it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.scale.hosts import Host, hosts
from tests.support.waiting import until
from training.run import Run

ROOT = Path(__file__).parent.parent.parent
LONGEST = 400.0  # seconds; a training takes ten, but machines may be busy
# Where the name of the machine is one of 127.0.0.1, as in /etc/hosts of Debian, the processes would
# wait for each other on the wrong interface.
ENVIRONMENT = {**os.environ, "GLOO_SOCKET_IFNAME": "eth0"}
TORCHRUN = (sys.executable, "-m", "torch.distributed.run")
TRAINING = (
    *("-m", "training", "--data", "digits", "--limit", "60", "--network", "mlp"),
    *("--batch-size", "32", "--validation", "0.1", "--threads", "1", "--job", "shared"),
)


class Ended(NamedTuple):
    code: int
    printed: str


@pytest.fixture
def machines() -> Iterator[list[Host]]:
    if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("nsenter"):
        pytest.skip("needs root, iproute2 and util-linux, to make hosts (network namespaces)")
    with hosts([1, 2]) as made:
        yield made


def run(command: Sequence[str], environment: Mapping[str, str] = ENVIRONMENT) -> Ended:
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=LONGEST, env=environment
    )
    return Ended(done.returncode, done.stderr)


def run_on(machines: Sequence[Host], *words: str) -> Iterator[Ended]:
    """Run the same command on both hosts at once, each with its rank and its address."""
    commands = [
        host.command(
            *TORCHRUN, "--nnodes=2", f"--node-rank={rank}", "--nproc-per-node=1",
            f"--master-addr={machines[0].address}", "--master-port=29500",
            f"--local-addr={host.address}", *words,
        )
        for rank, host in enumerate(machines)
    ]  # fmt: skip
    return ThreadPoolExecutor(len(commands)).map(run, commands)


def test_two_hosts_train_as_two_processes_of_one(machines: list[Host], tmp_path: Path) -> None:
    flags = [*TRAINING, "--epochs", "3", "--runs"]
    first, second = run_on(machines, *flags, str(tmp_path / "two"))
    assert (first.code, second.code) == (0, 0), first.printed + second.printed
    assert "epoch    loss" in first.printed
    assert "epoch    loss" not in second.printed  # only the first process prints and writes
    alone = run([*TORCHRUN, "--nproc-per-node=2", *flags, str(tmp_path / "one")], os.environ)
    assert alone.code == 0, alone.printed

    two, one = Run(tmp_path / "two/shared"), Run(tmp_path / "one/shared")
    assert two.completed
    assert two.metrics()["device"] == "2 x cpu"
    assert two.metrics()["evaluation"] == one.metrics()["evaluation"]


def test_a_run_that_lost_a_host_is_resumed(machines: list[Host], tmp_path: Path) -> None:
    both = run_on(machines, *TRAINING, "--epochs", "40", "--runs", str(tmp_path))
    shared = Run(tmp_path / "shared")
    epochs = shared.folder / "metrics.jsonl"
    until(lambda: epochs.exists() and epochs.read_text(), LONGEST)
    machines[1].kill_programs()
    assert all(ended.code != 0 for ended in both)  # the first host does not wait for the second
    before = epochs.read_text()
    assert before.count("\n") < 40

    first, second = run_on(machines, "-m", "training", "--resume", str(shared.folder))
    assert (first.code, second.code) == (0, 0), first.printed + second.printed
    assert shared.completed
    assert epochs.read_text().startswith(before)
    assert epochs.read_text().count("\n") == 40
