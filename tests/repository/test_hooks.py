"""pre-commit runs the checks of `make lint`, with the programs of .venv."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def run_hooks(folder: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pre_commit", "run", "--all-files"],
        cwd=folder,
        env=os.environ | {"PRE_COMMIT_HOME": str(cache)},
        capture_output=True,
        text=True,
    )


def test_the_hooks_pass_on_this_checkout(tmp_path: Path) -> None:
    done = run_hooks(ROOT, tmp_path)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("Passed") == 3


def test_the_hooks_fail_on_an_unused_import(tmp_path: Path) -> None:
    for name in (".pre-commit-config.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    (tmp_path / "unused.py").write_text("import os\n")
    for words in (["init", "--quiet"], ["add", "unused.py"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    done = run_hooks(tmp_path, tmp_path / "cache")
    assert done.returncode == 1
    assert "`os` imported but unused" in done.stdout
