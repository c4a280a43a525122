"""Each network has the expected parameters, outputs, width and dropout."""

import pytest
import torch

from training.model import NETWORKS, Network, build, parameters_of


def made(name: str, classes: int = 10, width: float = 1) -> Network:
    kind = NETWORKS[name]
    return build(name, classes=classes, dropout1=kind.dropout1, dropout2=kind.dropout2, width=width)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("compact", 29_434),
        ("deep", 75_706),
        ("classic", 1_199_882),
        ("pooled", 421_642),
        ("batchnorm", 421_738),
        ("mlp", 535_818),
        ("resnet18", 11_175_370),
    ],
)
def test_every_network_has_its_parameter_count_and_output_shape(name: str, parameters: int) -> None:
    network = made(name).eval()
    assert parameters_of(network) == parameters
    with torch.no_grad():
        assert network(torch.rand(3, 1, 28, 28)).shape == (3, 10)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_supports_26_classes(name: str) -> None:
    with torch.no_grad():
        assert made(name, classes=26).eval()(torch.rand(2, 1, 28, 28)).shape == (2, 26)


def test_width_multiplies_channels() -> None:
    assert parameters_of(made("compact", width=1.5)) == 61_426
    assert parameters_of(made("deep", width=2)) > 3 * parameters_of(made("deep"))


@pytest.mark.parametrize("name", NETWORKS)
def test_dropout_rates_are_those_of_the_recipe(name: str) -> None:
    found = [
        layer.p
        for layer in build(name, classes=10, dropout1=0.3, dropout2=0.6).modules()
        if isinstance(layer, (torch.nn.Dropout, torch.nn.Dropout2d))
    ]
    assert set(found) == {0.3, 0.6}
