"""Every artifact takes raw pixels in batches of any size and predicts as PyTorch does."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from contract.version import Version
from export import proof, runners
from export.artifacts import ARTIFACTS, OPSETS, BadGraph, Source, check_onnx
from export.runners import Graph
from training.model import NETWORKS, build
from training.run import Run

pytestmark = pytest.mark.slow

ONNX_FILES = ["model.onnx", "model.fp16.onnx", "model.int8.onnx"]


@pytest.fixture(scope="module")
def graph(run: Run) -> Graph:
    checkpoint = run.checkpoint()
    return Graph(checkpoint.build(), checkpoint.temperature)


@pytest.fixture(scope="module")
def written(run: Run, graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every artifact of `run`, without a check that they are accurate."""
    folder = tmp_path_factory.mktemp("artifacts")
    source = Source(graph, run.calibration(), opset=18)
    for artifact in ARTIFACTS.values():
        artifact.write(source, folder / artifact.file)
    return folder


@pytest.mark.parametrize("name", ARTIFACTS)
def test_every_artifact_predicts_the_test_set_as_pytorch_does(
    name: str, written: Path, run: Run, graph: Graph
) -> None:
    artifact = ARTIFACTS[name]
    pixels, _ = run.test_set()
    reference = proof.predictions_of(runners.pytorch(graph), pixels)
    answers = proof.predictions_of(artifact.load(written / artifact.file), pixels)
    assert np.allclose(answers.probabilities.sum(1), 1, atol=1e-5)
    if artifact.may_lose is None:
        assert np.array_equal(answers.classes, reference.classes)
        assert np.abs(answers.logits - reference.logits).max() <= 1e-4
    else:
        assert (answers.classes != reference.classes).mean() <= 0.02
        assert np.abs(answers.logits - reference.logits).mean() <= 0.3


@pytest.mark.parametrize("name", ONNX_FILES)
def test_an_onnx_model_is_one_file_with_the_same_tensors(name: str, written: Path) -> None:
    check_onnx(written / name)
    session = onnxruntime.InferenceSession(written / name)
    (pixels,) = session.get_inputs()
    assert (pixels.name, pixels.type, pixels.shape) == ("pixels", "tensor(uint8)", ["n", 28, 28])
    for n in (1, 2, 65):
        logits, probabilities = session.run(None, {"pixels": np.zeros((n, 28, 28), np.uint8)})
        assert logits.shape == probabilities.shape == (n, 10)
        assert logits.dtype == probabilities.dtype == np.float32


def test_half_precision_halves_the_size_and_computes_in_float16(written: Path) -> None:
    model = onnx.load(written / "model.fp16.onnx")
    weights = [each for each in model.graph.initializer if np.prod(each.dims) > 100]
    assert {each.data_type for each in weights} == {TensorProto.FLOAT16}
    sizes = {name: (written / name).stat().st_size for name in ONNX_FILES}
    assert sizes["model.fp16.onnx"] < 0.65 * sizes["model.onnx"]


def test_the_int8_model_computes_in_integers_and_does_not_round_logits(written: Path) -> None:
    graph = onnx.load(written / "model.int8.onnx").graph
    weights = [each for each in graph.initializer if np.prod(each.dims) > 100]
    assert {each.data_type for each in weights} == {TensorProto.INT8}
    assert max(np.abs(numpy_helper.to_array(each)).max() for each in weights) <= 64  # 7-bit weights
    (last,) = (node.op_type for node in graph.node if node.output[0] == "logits")
    assert last == "Gemm"  # and not a dequantised rounded tensor


def test_the_default_network_is_a_small_file(written: Path) -> None:
    assert (written / "model.onnx").stat().st_size <= 200_000


def test_the_newest_opset_predicts_the_same(graph: Graph, run: Run, tmp_path: Path) -> None:
    opset = OPSETS[-1]
    source, (pixels, labels) = Source(graph, run.calibration(), opset), run.test_set()
    reference = proof.predictions_of(runners.pytorch(graph), pixels)
    for name in ("onnx", "fp16", "int8"):
        artifact = ARTIFACTS[name]
        path = tmp_path / artifact.file
        artifact.write(source, path)
        versions = {each.domain: each.version for each in onnx.load(path).opset_import}
        assert versions[""] == opset
        answers = proof.predictions_of(artifact.load(path), pixels)
        proof.prove(name, answers, reference, labels, may_lose=artifact.may_lose and 0.02)


def test_the_temperature_divides_the_logits_of_the_graph(run: Run, graph: Graph) -> None:
    checkpoint = run.checkpoint()
    pixels = torch.from_numpy(run.test_set()[0][:5])
    logits, probabilities = graph(pixels)
    bare, _ = Graph(checkpoint.build(), 1.0)(pixels)
    torch.testing.assert_close(logits * checkpoint.temperature, bare)
    torch.testing.assert_close(probabilities, torch.softmax(logits, 1))


# Without that of `run`, and without those that take minutes.
COVERED = NETWORKS.keys() - {"compact", "mobilenet_v3_small", "efficientnet_b0"}


@pytest.mark.parametrize("name", sorted(COVERED))
def test_every_network_exports_artifacts_that_predict_as_it_does(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    graph = Graph(build(name, classes=26, dropout1=0.2, dropout2=0.3), temperature=0.7)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 28, 28), np.uint8)
    source = Source(graph, pixels, opset=18)
    reference = proof.predictions_of(runners.pytorch(graph), pixels)
    for artifact in ARTIFACTS.values():
        path = tmp_path / artifact.file
        artifact.write(source, path)
        answers = proof.predictions_of(artifact.load(path), pixels)
        assert answers.logits.shape == (30, 26)
        if artifact.may_lose is None:
            proof.prove(path.name, answers, reference, np.zeros(30, np.uint8))
        else:  # with random weights, the logits of noise images are close to each other
            spread = np.ptp(reference.logits)
            assert np.abs(answers.logits - reference.logits).max() <= 0.25 * spread


def _model(shape: list[int | str]) -> onnx.ModelProto:
    """A valid ONNX model, which matches the contract only if the shape is right."""
    tensors = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "logits")
    ]
    node = helper.make_node("Identity", ["x"], ["logits"])
    graph = helper.make_graph([node], "g", tensors[:1], tensors[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def test_the_error_about_a_graph_with_other_tensors_lists_both(tmp_path: Path) -> None:
    onnx.save(_model([1, 10]), tmp_path / "model.onnx")
    with pytest.raises(
        BadGraph, match=r"model\.onnx has the tensors .*'x', \(1, 10\).*, not .*'n'"
    ):
        check_onnx(tmp_path / "model.onnx")


def test_invalid_onnx_is_rejected(tmp_path: Path) -> None:
    model = _model(["n", 10])
    model.graph.node[0].op_type = "NoSuchOperator"
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(BadGraph, match=r"model\.onnx is not valid ONNX: .*NoSuchOperator"):
        check_onnx(tmp_path / "model.onnx")


def test_the_sheet_shows_test_images_in_order_with_their_labels(version: Version, run: Run) -> None:
    pixels, labels = run.test_set()
    facts = json.loads(version.read("samples.json"))
    sheet = np.asarray(Image.open(version.folder / "samples.png"))
    assert (facts["side"], facts["columns"], sheet.shape) == (28, 10, (280, 280))
    assert facts["labels"] == [str(label) for label in labels[:100]]
    for index in (0, 9, 10, 99):
        row, column = divmod(index, 10)
        cell = sheet[row * 28 : row * 28 + 28, column * 28 : column * 28 + 28]
        assert np.array_equal(cell, pixels[index])


def test_the_golden_set_is_64_images_of_all_classes_with_pytorch_logits(
    version: Version, run: Run, graph: Graph
) -> None:
    with np.load(version.folder / "golden.npz", allow_pickle=False) as golden:
        pixels, logits = golden["pixels"], golden["logits"]
    assert (pixels.shape, pixels.dtype) == ((64, 28, 28), np.uint8)
    assert (logits.shape, logits.dtype) == ((64, 10), np.float32)
    reference = proof.predictions_of(runners.pytorch(graph), pixels)
    assert np.allclose(logits, reference.logits, atol=1e-4)
    all_pixels, labels = run.test_set()
    known = {image.tobytes(): label for image, label in zip(all_pixels, labels, strict=True)}
    assert {known[image.tobytes()] for image in pixels} == {*range(10)}
