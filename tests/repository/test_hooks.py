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
    assert done.stdout.count("Passed") == 4


def make_repository(folder: Path, *names: str) -> None:
    """A repository with the hooks, in which the files of these names are added."""
    for name in (".pre-commit-config.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    for words in (["init", "--quiet"], ["add", *names]):
        subprocess.run(["git", *words], cwd=folder, check=True)


def test_the_hooks_fail_on_an_unused_import(tmp_path: Path) -> None:
    (tmp_path / "unused.py").write_text("import os\n")
    make_repository(tmp_path, "unused.py")
    done = run_hooks(tmp_path, tmp_path / "cache")
    assert done.returncode == 1
    assert "`os` imported but unused" in done.stdout


def test_the_hooks_fail_on_a_notebook_with_outputs(tmp_path: Path) -> None:
    for package in ("tools", "contract"):
        shutil.copytree(ROOT / package, tmp_path / package)
    notebook = tmp_path / "notebooks/outputs.ipynb"
    notebook.parent.mkdir()
    notebook.write_text('{"cells": [{"outputs": [{"text": "1"}]}]}')
    make_repository(tmp_path, "notebooks")
    done = run_hooks(tmp_path, tmp_path / "cache")
    assert done.returncode == 1
    assert "notebooks/outputs.ipynb holds outputs" in done.stdout
