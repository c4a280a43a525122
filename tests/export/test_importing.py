"""A model that was trained elsewhere is published with the answers that it had before."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from contract.card import PhotoPreparation, StretchPreparation
from contract.store import Store
from export.__main__ import main
from preprocessing.preparation import preparer_of
from tests.export.foreign import LABELS, SIDE, Tiny, imported, refusal, run


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


def original(path: Path, images: NDArray[np.generic]) -> NDArray[np.float32]:
    """What the file returns for images, one by one."""
    session = onnxruntime.InferenceSession(path)
    size = session.get_inputs()[0].shape[0]
    copies = size if isinstance(size, int) else 1
    rows = [session.run(None, {"image": np.repeat(each[None], copies, 0)})[0] for each in images]
    return np.stack([row[0] for row in rows])


@pytest.mark.parametrize(
    ("tiny", "order"),
    [
        (Tiny(), (0, 3, 1, 2)),
        (Tiny(layout="NHWC"), (0, 1, 2, 3)),
        (Tiny(opset=7), (0, 3, 1, 2)),
        (Tiny(opset=24), (0, 3, 1, 2)),
        (Tiny(batch=1), (0, 3, 1, 2)),
        (Tiny(batch=1, allowzero=1), (0, 3, 1, 2)),
        (Tiny(batch=2, allowzero=1, flat=4), (0, 3, 1, 2)),
        (Tiny(batch=4, layout="NHWC"), (0, 1, 2, 3)),
    ],
    ids=[
        "NCHW",
        "NHWC",
        "old operators",
        "new operators",
        "batch of 1",
        "batch of 1 by torch.onnx",
        "batch of 2 by torch.onnx",
        "batch of 4",
    ],
)
def test_the_graph_takes_pixels_in_any_number_and_answers_as_the_original(
    tiny: Tiny, order: tuple[int, ...], labels: Path, tmp_path: Path
) -> None:
    path = tiny.save(tmp_path)
    model = imported(labels, path)
    pixels = noise(5, SIDE, SIDE + 2, 3)
    logits, probabilities = model(pixels)
    images = pixels.transpose(order).astype(np.float32) / 255
    np.testing.assert_allclose(logits, original(path, images), atol=1e-5)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    assert model.card.input.shape == ("n", SIDE, SIDE + 2, 3)
    assert model.card.labels == LABELS


@pytest.mark.parametrize(("layout", "shape"), [("NCHW", (5, 1)), ("NHWC", ()), ("NHW", ())])
def test_a_model_of_gray_images_takes_gray_pixels(
    layout: str, shape: tuple[int, ...], labels: Path, tmp_path: Path
) -> None:
    path = Tiny(channels=1, layout=layout).save(tmp_path)
    model = imported(labels, path, "--gray")
    pixels = noise(5, SIDE, SIDE + 2)
    sides = {"NCHW": (5, 1, *pixels.shape[1:]), "NHWC": (*pixels.shape, 1), "NHW": pixels.shape}
    images = pixels.reshape(sides[layout]).astype(np.float32) / 255
    np.testing.assert_allclose(model(pixels)[0], original(path, images), atol=1e-5)


def test_a_model_of_bytes_takes_the_pixels_as_they_are(labels: Path, tmp_path: Path) -> None:
    path = Tiny(dtype=TensorProto.UINT8).save(tmp_path)
    pixels = noise(5, SIDE, SIDE + 2, 3)
    expected = original(path, pixels.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(imported(labels, path)(pixels)[0], expected, rtol=1e-5)


def test_a_model_in_half_precision_takes_rounded_numbers(labels: Path, tmp_path: Path) -> None:
    path = Tiny(dtype=TensorProto.FLOAT16).save(tmp_path)
    pixels = noise(5, SIDE, SIDE + 2, 3)
    images = (pixels.transpose(0, 3, 1, 2) / np.float32(255)).astype(np.float16)
    np.testing.assert_allclose(imported(labels, path)(pixels)[0], original(path, images), atol=1e-4)


@pytest.mark.parametrize(
    ("words", "scaled"),
    [
        (("--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225"),
         lambda pixels: (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]),
        (("--mean", "0.5", "--std", "0.5"), lambda pixels: pixels / 127.5 - 1),
        (("--scale", "1", "--mean", "123,117,104"), lambda pixels: pixels - [123, 117, 104]),
        (("--scale", "1/128"), lambda pixels: pixels / 128),
    ],
    ids=["colours", "one for all", "means of bytes", "fraction"],
)  # fmt: skip
def test_scaling_is_a_part_of_the_graph(
    words: tuple[str, ...], scaled: "np.ufunc", labels: Path, tmp_path: Path
) -> None:
    path = Tiny().save(tmp_path)
    pixels = noise(5, SIDE, SIDE + 2, 3)
    images = scaled(pixels.astype(np.float64)).transpose(0, 3, 1, 2).astype(np.float32)
    logits, _ = imported(labels, path, *words)(pixels)
    np.testing.assert_allclose(logits, original(path, images), rtol=1e-4, atol=1e-4)


def test_probabilities_are_recognised_and_stay_as_they_are(
    labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Tiny(softmax=True).save(tmp_path)
    model = imported(labels, path)
    assert "(n, 3), probabilities" in capsys.readouterr().err
    pixels = noise(5, SIDE, SIDE + 2, 3)
    expected = original(path, pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    logits, probabilities = model(pixels)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    np.testing.assert_allclose(logits, np.log(expected), atol=1e-4)


def test_what_the_model_returns_can_be_named(
    labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Tiny().save(tmp_path)
    assert "they are no probabilities. Use --logits" in refusal(
        capsys, labels, path, "--probabilities"
    )
    Tiny(softmax=True).save(tmp_path)
    assert run(labels, path, "--logits") == 0
    assert "look like probabilities; they are used as logits" in capsys.readouterr().err


def test_what_a_sigmoid_for_each_class_returns_must_be_named(
    labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Tiny(tail=[helper.make_node("Sigmoid", ["scores"], ["out"])]).save(tmp_path)
    message = refusal(capsys, labels, path)
    assert "and their sums for an image from" in message
    assert "or use --probabilities, which divides them by their sum, or --logits if" in message
    pixels = noise(5, SIDE, SIDE + 2, 3)
    returned = original(path, pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    np.testing.assert_allclose(imported(labels, path, "--logits")(pixels)[0], returned, atol=1e-5)
    model = imported(labels, path, "--probabilities")
    expected = returned / returned.sum(1, keepdims=True)
    np.testing.assert_allclose(model(pixels)[1], expected, atol=1e-5)
    assert model.card.imported is not None
    assert "its numbers do not sum to 1" in model.card.imported.unknown[-1]


def test_further_axes_of_the_output_are_removed(labels: Path, tmp_path: Path) -> None:
    tail = [
        helper.make_node("Unsqueeze", ["scores", "axes"], ["out"]),
    ]
    tiny = Tiny(tail=tail, outputs=("n", 3, 1, 1))
    model = tiny.model()
    model.graph.initializer.append(helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3]))
    onnx.save(model, tmp_path / "tiny.onnx")
    assert imported(labels, tmp_path / "tiny.onnx")(noise(2, SIDE, SIDE + 2, 3))[0].shape == (2, 3)


# ---- the card --------------------------------------------------------------------------------


def test_without_labelled_images_the_card_says_what_is_unknown(
    labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = imported(labels, Tiny().save(tmp_path))
    card = model.card
    assert card.imported is not None
    assert (card.run, card.data_set, card.evaluation) == (None, None, None)
    assert (card.imported.file, card.imported.format) == ("tiny.onnx", "onnx")
    assert "64 synthetic images" in card.imported.proven[0]
    assert (
        card.imported.unknown[0] == "Its accuracy and calibration: no labelled images were given."
    )
    assert card.parity["model.onnx"].accuracy is None
    assert {*card.files} == {"model.onnx", "golden.npz", "sample.png"}
    message = capsys.readouterr().err
    assert "Unknown:\n  Its accuracy" in message
    assert "DIGITSERVE_MODEL=own python -m service" in message


def test_the_golden_set_holds_the_logits_of_the_original(labels: Path, tmp_path: Path) -> None:
    path = Tiny().save(tmp_path)
    model = imported(labels, path)
    with np.load(model.version.folder / "golden.npz") as golden:
        pixels, logits = golden["pixels"], golden["logits"]
    assert pixels.shape == (64, SIDE, SIDE + 2, 3)
    images = pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255
    np.testing.assert_allclose(logits, original(path, images), atol=1e-5)
    sample = (model.version.folder / "sample.png").read_bytes()
    prepare = preparer_of(model.card.preparation, model.card.shape)
    assert np.array_equal(prepare.file(sample, max_pixels=10**6), pixels[-1])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), PhotoPreparation(resize=11, size=(SIDE, SIDE + 2))),
        (("--preparation", "photo", "--resize", "20", "--interpolation", "bicubic"),
         PhotoPreparation(resize=20, size=(SIDE, SIDE + 2), interpolation="bicubic")),
        (("--preparation", "stretch"), StretchPreparation(size=(SIDE, SIDE + 2))),
    ],
)  # fmt: skip
def test_the_preparation_is_on_the_card(
    words: tuple[str, ...], expected: object, labels: Path, tmp_path: Path
) -> None:
    assert imported(labels, Tiny().save(tmp_path), *words).card.preparation == expected


def images_of(folder: Path, answers: NDArray[np.int64], pixels: NDArray[np.uint8]) -> Path:
    """The pixels as files, in the folders of these classes."""
    for index, (answer, image) in enumerate(zip(answers, pixels, strict=True)):
        (folder / LABELS[answer]).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / LABELS[answer] / f"{index}.png"), image[..., ::-1])
    return folder


def test_labelled_images_measure_the_model(
    labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Tiny(scale=2).save(tmp_path)
    pixels = noise(40, SIDE, SIDE + 2, 3) // np.arange(1, 41, dtype=np.uint8)[:, None, None, None]
    answers = original(path, pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255).argmax(1)
    answers[:10] = (answers[:10] + 1) % 3  # the labels of a quarter are other ones
    folder = images_of(tmp_path / "images", answers, pixels)
    model = imported(labels, path, "--preparation", "stretch", "--images", folder)
    card = model.card
    assert card.evaluation is not None
    assert card.data_set is not None
    assert card.imported is not None
    assert card.evaluation.accuracy == card.parity["model.onnx"].accuracy == 0.75
    assert (card.data_set.name, card.data_set.test, card.data_set.train) == ("images", 40, 0)
    assert {"samples.png", "samples.json", "mistakes.png"} <= {*card.files}
    assert "64 synthetic and 40 given images" in card.imported.proven[0]
    assert "Whether it was trained on some of the labelled images" in card.imported.unknown[-1]
    assert "Accuracy 75.00%, calibration error" in capsys.readouterr().err


def test_labelled_images_may_be_of_some_classes_only(labels: Path, tmp_path: Path) -> None:
    folder = images_of(tmp_path / "images", np.ones(6, np.int64), noise(6, SIDE, SIDE + 2, 3))
    card = imported(labels, Tiny().save(tmp_path), "--images", folder).card
    assert card.evaluation is not None
    assert [each.support for each in card.evaluation.per_class] == [0, 6, 0]


def test_an_int8_model_needs_labelled_images(labels: Path, tmp_path: Path) -> None:
    path = Tiny(scale=2).save(tmp_path)
    words = (path, "--artifacts", "onnx,int8", "--preparation", "stretch")
    assert "cannot be measured" in imported(labels, *words).card.left_out["model.int8.onnx"]
    pixels = noise(40, SIDE, SIDE + 2, 3) // np.arange(1, 41, dtype=np.uint8)[:, None, None, None]
    answers = original(path, pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255).argmax(1)
    folder = images_of(tmp_path / "images", answers, pixels)
    card = imported(labels, *words, "--images", folder).card
    assert card.imported is not None
    if "model.int8.onnx" in card.parity:  # it may lose too much on some processors
        assert "on 32 of them, which are not the 8 on" in card.imported.proven[-1]
    assert {"model.onnx", "model.int8.onnx"} == {*card.parity} | {*card.left_out} - {
        "model.ts", "model.pt2", "model.fp16.onnx",
    }  # fmt: skip


def test_other_models_stay_current(labels: Path, tmp_path: Path) -> None:
    path = Tiny().save(tmp_path)
    imported(labels, path)
    words = ["--labels", str(labels), "--models", str(tmp_path / "models")]
    assert main(["import", str(path), "--name", "other", *words, "--no-activate"]) == 0
    assert Store(tmp_path / "models", "own").current() == 1
    with pytest.raises(SystemExit):
        main(["import", str(path), *words])  # without --name
