"""Errors name a run folder or file that is missing, unfinished, damaged or of another kind."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from training.checkpoint import load_pretrained
from training.model import NETWORKS, Network, build
from training.run import BadRun, Checkpoint, Run


def test_runs_started_in_the_same_second_get_separate_folders(tmp_path: Path) -> None:
    assert len({Run.create(tmp_path).folder for _ in range(5)}) == 5


def test_without_a_finished_run_the_error_says_to_train(tmp_path: Path) -> None:
    Run.create(tmp_path)
    with pytest.raises(BadRun, match="holds no finished run: train one first"):
        Run.latest(tmp_path)


def test_the_checkpoint_loads_without_running_code(run: Run) -> None:
    facts = torch.load(run.folder / "checkpoint.pt", weights_only=True)
    assert facts["recipe"]["epochs"] == 6


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "was not completed"),
        (b"", "is damaged"),
        (b"PK\x03\x04 half a file", "is damaged"),
        (b"hello world", "is damaged"),
        (b"\x80\x02.", "is damaged"),
    ],
    ids=["missing", "empty", "cut", "text", "half a pickle"],
)
def test_the_error_names_a_damaged_checkpoint(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    run = Run.create(tmp_path)
    if content is not None:
        (run.folder / "checkpoint.pt").write_bytes(content)
    with pytest.raises(BadRun, match=rf"checkpoint\.pt .*{message}"):
        run.checkpoint()


class Mine:
    """An object that a file may only hold if its code is run."""


@pytest.mark.parametrize("suffix", ["zip", "pickle"])
def test_objects_are_not_loaded_and_nothing_advises_to_load_them(
    tmp_path: Path, suffix: str
) -> None:
    run = Run.create(tmp_path)
    path = run.folder / "checkpoint.pt"
    if suffix == "zip":
        torch.save({"weights": Mine()}, path)
    else:
        path.write_bytes(pickle.dumps({"weights": Mine()}))
    with pytest.raises(BadRun, match=r"checkpoint\.pt is ") as refused:
        run.checkpoint()
    for advice in ("weights_only", "add_safe_globals", "trust", "PyTorch 2.6"):
        assert advice not in str(refused.value)


def test_a_foreign_checkpoint_is_refused(tmp_path: Path) -> None:
    run = Run.create(tmp_path)
    torch.save({"model": {}}, run.folder / "checkpoint.pt")
    with pytest.raises(
        BadRun, match=r"is not a checkpoint of this project: missing or wrong are weights,"
    ):
        run.checkpoint()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda c: {"recipe": c.recipe | {"network": "huge"}},
            "network is 'huge'",
        ),
        (lambda c: {"recipe": c.recipe | {"network": "mlp"}}, "weights are not mlp's"),
        (lambda c: {"weights": {}}, "weights are not compact's"),
        (lambda c: {"labels": ("a", "b")}, "weights are not compact's"),
        (lambda c: {"recipe": {"network": "compact"}}, "weights are not compact's: 'dropout1'"),
    ],
    ids=["unknown network", "another network", "no weights", "other labels", "no recipe"],
)
def test_a_checkpoint_that_does_not_fit_the_network_is_rejected(
    run: Run, change: Callable[[Checkpoint], dict[str, object]], message: str
) -> None:
    checkpoint = run.checkpoint()
    with pytest.raises(BadRun, match=message):
        checkpoint.model_copy(update=change(checkpoint)).build()


@pytest.mark.parametrize("shape", [(0, 28, 28), (3, 28, 28, 2), (3,)])
def test_a_test_set_that_holds_no_images_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    run = Run.create(tmp_path)
    pixels, labels = np.zeros(shape, np.uint8), np.zeros(shape[0], np.uint8)
    np.savez(run.folder / "test_set.npz", pixels=pixels, labels=labels)
    with pytest.raises(BadRun, match=r"test_set\.npz holds uint8 .* not uint8 \(n, h, w\) or"):
        run.test_set()


@pytest.mark.parametrize("name", ["metrics", "facts"])
def test_the_error_names_the_missing_file_of_a_run(tmp_path: Path, name: str) -> None:
    run = Run.create(tmp_path)
    with pytest.raises(BadRun, match="is missing"):
        getattr(run, name)()
    for file in ("training_metrics.json", "run.json"):
        (run.folder / file).write_text("{")
    with pytest.raises(BadRun, match="is damaged"):
        getattr(run, name)()


# ---- pretrained weights ----------------------------------------------------------------------


def network(name: str = "resnet18", classes: int = 10) -> Network:
    kind = NETWORKS[name]
    return build(name, classes=classes, dropout1=kind.dropout1, dropout2=kind.dropout2)


def test_torchvision_weights_load_into_resnet18_except_the_last_layer(tmp_path: Path) -> None:
    from training.vision import torchvision

    theirs = torchvision().models.resnet18(weights=None)  # three colour channels, 1,000 classes
    torch.save(theirs.state_dict(), tmp_path / "resnet18.pth")
    ours = network().eval()
    load_pretrained(ours, tmp_path / "resnet18.pth", "resnet18")
    theirs.eval()
    theirs.fc = torch.nn.Identity()
    layers: Any = ours.layers
    layers.fc = torch.nn.Identity()
    gray = torch.rand(2, 1, 28, 28)
    with torch.no_grad():
        assert torch.allclose(layers(gray), theirs(gray.expand(-1, 3, -1, -1)), atol=1e-4)


def test_a_checkpoint_for_other_classes_loads_except_the_last_layer(
    run: Run, tmp_path: Path
) -> None:
    letters = network("compact", classes=26)
    before = {name: value.clone() for name, value in letters.state_dict().items()}
    load_pretrained(letters, run.folder / "checkpoint.pt", "compact")
    after, theirs = letters.state_dict(), run.checkpoint().weights
    first, *_, last = after
    assert torch.equal(after[first], theirs[first])
    assert torch.equal(after[last], before[last])


def test_weights_of_another_network_are_rejected(run: Run) -> None:
    with pytest.raises(BadRun, match=r"checkpoint\.pt is of another network than mlp: see layers"):
        load_pretrained(network("mlp"), run.folder / "checkpoint.pt", "mlp")


@pytest.mark.parametrize("content", [{"epoch": 3}, [1, 2], {}], ids=str)
def test_a_file_without_weights_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(BadRun, match=r"other\.pt holds no weights"):
        load_pretrained(network("mlp"), tmp_path / "other.pt", "mlp")


def test_the_run_of_a_job_has_its_id_and_is_created_once(tmp_path: Path) -> None:
    (tmp_path / "job-1").mkdir()  # with files of the job
    run = Run.create(tmp_path, "job-1")
    assert run.id == "job-1"
    run.begin({"data": {}, "recipe": {}})
    with pytest.raises(BadRun, match="resume it with --resume"):
        Run.create(tmp_path, "job-1")
