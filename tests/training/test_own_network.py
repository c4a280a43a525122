"""A network of your own trains and is built again; one that does not fit is refused."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from training.__main__ import main
from training.api import MNISTClassifier, MNISTPredictor
from training.checkpoint import save
from training.model import build
from training.networks.own import BadNetwork, registered
from training.run import BadRun, Run

DOCUMENT = Path(__file__).parents[2] / "docs/how-to/training.md"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current directory, of which Python has imported nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name in ("my_module", "broken_module"):
        sys.modules.pop(name, None)


def write_colours(folder: Path, each: int = 24) -> None:
    """Three classes of 32x32 images: noise, with a patch of one colour."""
    random = np.random.default_rng(0)
    for channel, label in enumerate(("red", "green", "blue")):
        for number in range(each):
            pixels = random.integers(60, 140, (32, 32, 3), np.uint8)
            pixels[8:24, 8:24, channel] = 250
            (folder / label).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")


def test_the_documented_network_trains_on_a_folder_and_is_built_again(here: Path) -> None:
    document = DOCUMENT.read_text()
    example = re.search(r"```python\n(from torch import nn\n.*?)```", document, re.DOTALL)
    assert example
    (here / "my_module.py").write_text(example[1])
    write_colours(here / "images")
    command = "--data images --network my_module:build --epochs 6 --learning-rate 0.03 --threads 1"
    assert main(command.split()) == 0
    checkpoint = Run.latest(here / "runs").checkpoint()
    assert checkpoint.network == "my_module:build"
    assert checkpoint.shape == (32, 32, 3)
    assert checkpoint.evaluation.accuracy == 1
    checkpoint.save(here / "model.pt")
    predict = ["predict", "images/red/0.png", "--run", "model.pt"]
    assert main(predict) == 2
    assert main([*predict, "--network", "my_module:build"]) == 0
    with pytest.raises(BadRun, match="allow this code with --network my_module:build"):
        MNISTPredictor("model.pt")
    classifier = MNISTClassifier(network="my_module:build").load_model("model.pt")
    assert classifier.predict("images/green/0.png").label == "green"
    (here / "my_module.py").unlink()
    sys.modules.pop("my_module")
    with pytest.raises(BadRun, match=r"my_module:build cannot be imported: ModuleNotFoundError"):
        checkpoint.build()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent_module:build", "cannot be imported: ModuleNotFoundError"),
        ("broken_module:absent", "the module broken_module has no callable absent: name"),
        ("broken_module:SIX", "the module broken_module has no callable SIX: name"),
        ("broken_module:fails", "fails: ZeroDivisionError"),
        (
            "broken_module:strange",
            "fails: TypeError: it requires n_classes, side; there are",
        ),
        ("broken_module:number", "returns int, it must return an nn.Module"),
        ("broken_module:narrow", r"fails on an input of shape \(1, 3, 32, 32\)"),
        ("broken_module:wide", r"answers \(1, 99\) .* it must answer logits of shape \(1, 5\)"),
    ],
)
def test_a_network_that_does_not_fit_is_refused(here: Path, name: str, message: str) -> None:
    (here / "broken_module.py").write_text(
        "from torch import nn\n"
        "SIX = 6\n"
        "def fails(): return 1 / 0\n"
        "def strange(n_classes, channels, side, *, depth=3): return 6\n"
        "def number(**_): return 6\n"
        "def narrow(size): return nn.Conv2d(1, 8, size)\n"
        "def wide(): return nn.Sequential(nn.Flatten(), nn.Linear(3072, 99))\n"
    )
    with pytest.raises(BadNetwork, match=message):
        build(name, classes=5, shape=(32, 32, 3))


class Linear(nn.Module):
    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        self.last = nn.Linear(size * size, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.last(images.flatten(1))
        return output


@pytest.mark.parametrize(
    "network", [Linear, Linear(10, 28), lambda: Linear(10, 28)], ids=["class", "module", "callable"]
)
def test_python_code_hands_over_a_network(network: Callable[..., nn.Module]) -> None:
    built = build(registered(network), classes=10)
    assert built(torch.rand(2, 1, 28, 28)).shape == (2, 10)
    assert isinstance(built.layers, Linear)


def test_a_module_that_is_handed_over_is_not_changed_by_the_training_of_its_copy() -> None:
    module = Linear(10, 28)
    before = module.last.weight.clone()
    copy = build(registered(module), classes=10)
    with torch.no_grad():
        for weights in copy.parameters():
            weights.zero_()
    assert torch.equal(module.last.weight, before)


def of_other_names(num_classes: int, in_channels: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(in_channels, num_classes, 32), nn.Flatten())


def of_any_options(**options: int) -> nn.Module:
    assert [*options] == ["num_classes"]
    return of_other_names(options["num_classes"], 3)


@pytest.mark.parametrize(
    "name",
    [f"{__name__}:of_other_names", f"{__name__}:of_any_options", "torchvision.models:resnet18"],
)
def test_a_callable_receives_the_arguments_under_the_names_that_others_use(name: str) -> None:
    assert build(name, classes=5, shape=(32, 32, 3))(torch.rand(2, 3, 32, 32)).shape == (2, 5)


def test_a_file_that_names_code_is_refused_before_the_code_is_imported(
    here: Path, run: Run
) -> None:
    (here / "hostile.py").write_text("raise SystemExit('the code was run')")
    checkpoint = run.checkpoint()
    recipe = checkpoint.recipe | {"network": "hostile:build"}
    checkpoint.model_copy(update={"recipe": recipe}).save(here / "model.pt")
    for load in (MNISTPredictor, MNISTClassifier(network="compact").load_model):
        with pytest.raises(BadRun, match=r"model\.pt was trained with the network hostile:build"):
            load(here / "model.pt")


@pytest.mark.parametrize("option", ["network", "teacher_network"])
def test_a_saved_training_that_names_code_is_refused(here: Path, run: Run, option: str) -> None:
    facts = run.facts()
    facts["recipe"][option] = "hostile:build"
    save(here / "training.pt", {"facts": json.dumps(facts), "state": run.state()})
    with pytest.raises(BadRun, match=r"training\.pt was trained with the network hostile:build"):
        MNISTClassifier(runs=here).load_checkpoint(here / "training.pt")
    options: dict[str, Any] = {option: "hostile:build"}
    MNISTClassifier(runs=here, **options).load_checkpoint(here / "training.pt")


@pytest.mark.parametrize(
    "make",
    [
        lambda size: nn.Sequential(nn.Flatten(), nn.Linear(784, size), nn.Linear(size, 10)),
        lambda size: lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, size), nn.Linear(size, 10)),
    ],
    ids=["modules", "lambdas"],
)
def test_each_network_that_is_handed_over_is_built_as_itself(make: Callable[[int], Any]) -> None:
    names = [registered(make(size)) for size in (5, 6)]
    weights = [build(name, classes=10).state_dict()["layers.1.weight"] for name in names]
    assert [len(each) for each in weights] == [5, 6]


def test_a_file_of_a_network_that_was_handed_over_needs_it_again(here: Path, run: Run) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    built = build(registered(network), classes=10)
    recipe = run.checkpoint().recipe | {"network": "torch.nn:Sequential#900"}
    changed = {"recipe": recipe, "weights": built.state_dict()}
    run.checkpoint().model_copy(update=changed).save(here / "model.pt")
    with pytest.raises(BadRun, match="only a function or class of a module can be built again"):
        MNISTPredictor(here / "model.pt")
    assert MNISTPredictor(here / "model.pt", network=network).labels == tuple("0123456789")
