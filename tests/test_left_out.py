"""The reason of a skipped test names the missing program and the package to install."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_a_missing_program_is_named_with_its_package() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.interop.programs"],
        cwd=ROOT,
        env={"PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=True,
    )
    for name, package in (("caddy", "caddy"), ("java", "default-jdk-headless"), ("curl", "curl")):
        line = f"!!! The tests with {name} were LEFT OUT: no {name} here: apt install {package}\n"
        assert line in done.stderr
