"""After a crash, on a full disk or without permission, a store is in its old or its new state.

The scenarios are in `faults`, which runs in a process of its own.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from contract.version import Version
from tests.support.marks import needs_mounts, slow
from tests.support.running import ROOT

KILLED = ["publishing", "activating", "rolling_back", "pruning"]


def run(scenario: str, folder: Path, version: Version, *wrapped: str) -> None:
    card = version.card.model_copy(update={"files": {}}).to_json()
    command = [*wrapped, sys.executable, "-m", "tests.contract.faults", scenario, str(folder), card]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("doing", [KILLED[0], *map(slow, KILLED[1:])])
def test_a_writer_killed_at_any_step_leaves_the_old_or_the_new_state(
    doing: str, tmp_path: Path, version: Version
) -> None:
    run(f"killed_while_{doing}", tmp_path, version)


def test_a_failed_write_changes_nothing_and_the_error_names_the_file(
    tmp_path: Path, version: Version
) -> None:
    run("files_may_not_grow", tmp_path, version)


@needs_mounts
def test_a_full_disk_changes_nothing_and_raises_an_error(tmp_path: Path, version: Version) -> None:
    mount = f'mount -t tmpfs -o size=400k tmpfs {tmp_path} && exec "$@"'
    run("disk_is_full", tmp_path, version, "unshare", "-Urm", "sh", "-c", mount, "sh")


def test_a_read_only_folder_is_unchanged_and_named_in_the_error(version: Version) -> None:
    with TemporaryDirectory() as folder:  # another user may not enter the folders of pytest
        Path(folder).chmod(0o755)
        run("folder_is_read_only", Path(folder), version)
