"""Each network has the expected parameters, outputs, width and dropout."""

import pytest
import torch

from training.model import NETWORKS, Network, build, parameters_of
from training.networks.own import BadNetwork

ANY_SIZE = [name for name, kind in NETWORKS.items() if not kind.digits_only]


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
        ("residual", 1_090_156),
        ("resnet18", 11_175_370),
        ("mobilenet_v3_small", 1_527_818),
        ("efficientnet_b0", 4_019_782),
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


@pytest.mark.parametrize("shape", [(32, 48), (96, 100, 3)], ids=str)
@pytest.mark.parametrize("name", ANY_SIZE)
def test_networks_for_any_images_answer_for_gray_and_for_colour(
    name: str, shape: tuple[int, ...]
) -> None:
    network = build(name, classes=7, shape=shape).eval()
    channels = 3 if len(shape) == 3 else 1
    with torch.no_grad():
        assert network(torch.rand(2, channels, *shape[:2])).shape == (2, 7)


def test_a_network_for_digits_names_those_for_other_images() -> None:
    with pytest.raises(BadNetwork, match=r"gray images of 28x28, .* 32x32 in colour: .* residual"):
        build("compact", classes=10, shape=(32, 32, 3))


@pytest.mark.parametrize("name", ["classic", "pooled", "batchnorm", "mlp"])
def test_hidden_size_is_the_width_of_the_hidden_layer(name: str) -> None:
    layers = build(name, classes=10, hidden_size=40).modules()
    assert 40 in {layer.out_features for layer in layers if isinstance(layer, torch.nn.Linear)}


def test_a_network_normalises_by_the_training_images_and_stores_that_with_its_weights() -> None:
    images = torch.rand(64, 3, 32, 32) * torch.tensor([0.2, 0.5, 1.0]).reshape(3, 1, 1)
    network = build("residual", classes=3, shape=(32, 32, 3))
    network.normalise_by(images)
    other = build("residual", classes=3, shape=(32, 32, 3))
    other.load_state_dict(network.state_dict())
    torch.testing.assert_close(other.mean.flatten(), images.mean((0, 2, 3)))
    torch.testing.assert_close(other.deviation.flatten(), images.std((0, 2, 3)))


def test_the_first_layer_of_residual_whitens_patches_of_the_training_images() -> None:
    smooth = torch.nn.functional.interpolate(torch.rand(64, 3, 12, 12), (32, 32), mode="bilinear")
    network = build("residual", classes=3, shape=(32, 32, 3))
    network.normalise_by(smooth)
    first = network.layers[0][0]  # type: ignore[index]
    outputs = first((smooth - network.mean) / network.deviation)[:, :, 1:-1, 1:-1]
    components = outputs.transpose(0, 1).flatten(1)[: first.out_channels // 2]
    expected = torch.eye(len(components))
    torch.testing.assert_close(components.cov(correction=0), expected, atol=0.15, rtol=0)


def test_with_mirror_an_image_and_its_mirror_image_have_the_same_answer() -> None:
    images = torch.rand(2, 3, 32, 32)
    network = build("residual", classes=3, shape=(32, 32, 3), mirror=True).eval()
    torch.testing.assert_close(network(images), network(images.flip(3)))
    network = build("residual", classes=3, shape=(32, 32, 3)).eval()
    assert not torch.allclose(network(images), network(images.flip(3)))


def test_all_classes_share_the_probability_of_none() -> None:
    images = torch.rand(4, 1, 28, 28)
    network = build("compact", classes=3, none_class=True).eval()
    outputs = network.layers((images - network.mean) / network.deviation).softmax(1)  # (4, 3 + 1)
    expected = outputs[:, :3] + outputs[:, 3:] / 3
    torch.testing.assert_close(network(images).softmax(1), expected)
