"""What nvidia-smi says of the GPU becomes numbers, or a sentence why there are none."""

import time
from pathlib import Path

import pytest

from loadtest.gpu import ABSENT, MIB, Watch, use_of, watched
from tests.loadtest.nvidia_smi import put_on_path

PATIENCE = 10.0  # seconds


def watch_until_said(folder: Path) -> Watch:
    with watched() as watch:
        deadline = time.monotonic() + PATIENCE
        while not (folder / "said").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
    return watch


def test_the_use_is_the_mean_and_the_memory_the_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = [f"Big GPU, 580.1, {busy}, {used}, 8000" for busy, used in ((40, 3000), (60, 1000))]
    put_on_path(tmp_path, monkeypatch, *looks, "Big GPU, 58")
    watch = watch_until_said(tmp_path)
    assert watch.use is not None
    assert watch.missing == ""
    assert (watch.use.name, watch.use.driver) == ("Big GPU", "580.1")
    assert watch.use.busy == 0.5
    assert (watch.use.memory_used, watch.use.memory_left) == (3000 * MIB, 5000 * MIB)


def test_the_first_looks_see_the_time_before_the_load() -> None:
    use = use_of([f"A, 1, {busy}, 10, 20" for busy in (0, 75, 75, 75)])
    assert use is not None
    assert use.busy == 0.75


def test_a_gpu_that_does_not_tell_is_not_made_up() -> None:
    use = use_of(["Part of a GPU, 1, [N/A], [N/A], 8000"])
    assert use is not None
    assert (use.busy, use.memory_used, use.memory_left) == (None, None, None)


def test_the_gpu_that_is_watched_is_the_one_that_cuda_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_path(tmp_path, monkeypatch, "$*")
    for visible, watched_one in (("", "--id=0 "), ("3,1", "--id=3 ")):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        (tmp_path / "said").unlink(missing_ok=True)
        assert watched_one in watch_until_said(tmp_path).missing


def test_an_nvidia_smi_without_a_driver_is_told_with_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_path(tmp_path, monkeypatch, "NVIDIA-SMI has failed", "Install a driver")
    watch = watch_until_said(tmp_path)
    assert watch.use is None
    assert watch.missing == "nvidia-smi tells nothing: NVIDIA-SMI has failed Install a driver"


def test_without_nvidia_smi_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with watched() as watch:
        pass
    assert (watch.use, watch.missing) == (None, ABSENT)
