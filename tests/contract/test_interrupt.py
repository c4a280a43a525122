"""Ctrl-C ends a program with one line, even while it still imports PyTorch."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.program import interruptible

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("program", ["training", "export"])
def test_an_interrupt_during_imports_ends_a_program_quietly(program: str, tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    slow = "import time; print('importing', flush=True); time.sleep(600)"
    (tmp_path / "torch/__init__.py").write_text(slow)
    with interruptible(
        [sys.executable, "-m", program],
        cwd=ROOT,
        env={"PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate()
    assert (process.returncode, printed) == (130, f"{program}: stopped\n")
