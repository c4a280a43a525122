"""A PyTorch network with weights from a file is published with the answers that it had before."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from export.scenes import draw
from tests.export import own_network
from tests.export.foreign import LABELS, imported, refusal
from training.vision import torchvision

SIZE = (8, 10)
OWN = "tests.export.own_network"


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return own_network.build(len(LABELS), 3, *SIZE).eval()


@pytest.fixture
def weights(network: nn.Module, tmp_path: Path) -> Path:
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    return tmp_path / "weights.pt"


def test_the_graph_answers_as_the_network(network: nn.Module, weights: Path, labels: Path) -> None:
    words = ("--torch", f"{OWN}:build", "--weights", weights, "--size", "8x10", "--mean", "0.5")
    model = imported(labels, *words)
    pixels = np.random.default_rng(0).integers(0, 256, (5, *SIZE, 3), np.uint8)
    with torch.inference_mode():
        expected = network(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - 0.5)
    np.testing.assert_allclose(model(pixels)[0], expected.numpy(), atol=1e-5)
    card = model.card
    assert card.imported is not None
    assert (card.imported.format, card.imported.file) == ("torch", "weights.pt")
    assert "those of the original in PyTorch" in card.imported.proven[0]
    assert card.network == f"{OWN}:build"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["build_one_kind", "build_with_options"])
def test_the_callable_receives_the_arguments_that_it_names(
    name: str, weights: Path, labels: Path
) -> None:
    words = ("--torch", f"{OWN}:{name}", "--weights", weights, "--size", "8x10")
    assert imported(labels, *words).card.network == f"{OWN}:{name}"


@pytest.mark.slow
def test_weights_may_be_a_part_of_a_checkpoint(
    network: nn.Module, weights: Path, labels: Path
) -> None:
    parallel = {f"module.{name}": value for name, value in network.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": parallel}, weights)
    words = ("--torch", f"{OWN}:build", "--weights", weights, "--size", "8x10")
    assert imported(labels, *words).card.parameters > 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (OWN, "must name a module and a callable in it, such as my_module:build"),
        ("no_such_module:build", "the network no_such_module:build cannot be imported: Module"),
        (f"{OWN}:no_such", f"the module {OWN} has no callable no_such: name a function or class"),
        (f"{OWN}:__doc__", f"the module {OWN} has no callable __doc__: name a function or class"),
        (f"{OWN}:build_a_number", "returns int, not a torch.nn.Module"),
        (f"{OWN}:build_nothing", "cannot be built: RuntimeError: no network for 3 classes"),
        (
            "torch.nn:Flatten",
            "weights.pt does not hold the weights of torch.nn:Flatten: Unex",
        ),
    ],
)
def test_a_callable_that_does_not_fit_is_refused(
    name: str, message: str, weights: Path, labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--torch", name, "--weights", weights, "--size", "8x10")
    assert message in refusal(capsys, labels, *words)


def test_another_number_of_labels_is_refused(
    network: nn.Module, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(own_network.build(7, 3, *SIZE).state_dict(), tmp_path / "seven.pt")
    words = ("--torch", f"{OWN}:build", "--weights", tmp_path / "seven.pt", "--size", "8x10")
    message = refusal(capsys, labels, *words)
    assert (
        f"there are {len(LABELS)} labels, and {tmp_path}/seven.pt has 7 classes: write" in message
    )


def test_a_network_with_other_results_is_refused(
    network: nn.Module, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    boxes = own_network.Boxes(len(LABELS), 3)
    torch.save(boxes.state_dict(), tmp_path / "boxes.pt")
    words = ("--torch", f"{OWN}:Boxes", "--weights", tmp_path / "boxes.pt", "--size", "8x10")
    assert "returns tuple, not a tensor (n, classes)" in refusal(capsys, labels, *words)


def test_a_size_that_does_not_fit_is_refused(
    weights: Path, labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--torch", f"{OWN}:build_one_kind", "--weights", weights)
    assert f"set --size for {OWN}:build_one_kind" in refusal(capsys, labels, *words)
    message = refusal(capsys, labels, *words, "--size", "20")
    assert "the network does not take images (2, 3, 20, 20)" in message


@pytest.mark.parametrize("content", ["module", "number", "text"])
def test_a_file_without_weights_is_refused(
    content: str,
    network: nn.Module,
    weights: Path,
    labels: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if content == "text":
        weights.write_text("weights")
    else:
        torch.save(network if content == "module" else 7, weights)
    words = ("--torch", f"{OWN}:build", "--weights", weights, "--size", "8x10")
    message = refusal(capsys, labels, *words)
    assert str(weights) in message
    assert "weights_only" not in message  # PyTorch's advice would run the file's code


def test_weights_that_an_onnx_file_cannot_hold_are_refused(
    weights: Path, labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--torch", f"{OWN}:build", "--weights", weights, "--size", "8x10")
    torch.save({"matrix": torch.zeros(1).expand(10**9)}, weights)  # one number in the file
    assert "has 4.0 GB of weights, and an ONNX file holds" in refusal(capsys, labels, *words)
    with weights.open("wb") as file:
        file.truncate(10**12)  # takes no space
    assert "needs about 4000.0 GB of memory" in refusal(capsys, labels, *words)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "efficientnet_b0"])
def test_networks_of_torchvision_are_imported_with_their_logits(
    name: str, labels: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = getattr(torchvision().models, name)(num_classes=len(LABELS)).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the statistics of one batch, so that logits differ
    drawn = draw(16, (224, 224, 3))
    with torch.no_grad():
        network(torch.from_numpy(drawn).permute(0, 3, 1, 2) / 255)
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    words = ("--torch", f"torchvision.models:{name}", "--weights", tmp_path / "weights.pt")
    model = imported(labels, *words, "--size", "224")
    largest = float(np.abs(model(drawn)[0]).max())
    difference = model.card.parity["model.onnx"].largest_difference
    assert difference <= 1e-4 * max(1, largest)
    assert model.card.shape == (224, 224, 3)
