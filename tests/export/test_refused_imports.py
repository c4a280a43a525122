"""A foreign model that cannot be imported is refused in a sentence that says what to do."""

import errno
import os
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.export.foreign import SIDE, Tiny, imported, refusal

Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("cat\ndog\n", r"2 labels, and the output 'out' of .*tiny.onnx has 3 classes"),
        ("cat\n\ndog", "line 2 is empty"),
        ("cat\ndog\ncat", "lines 1 and 3 are both 'cat'"),
        ("cat", "has 1 labels; a classifier has two or more"),
        ("n1\tcat\ndog\nowl", "line 1 cannot be a label: it has a tab or another"),
        (f"cat\ndog\n{'o' * 257}", "line 3 cannot be a label: it has more than 256 characters"),
        (None, "labels.txt cannot be read: No such file"),
    ],
)
def test_labels_must_fit(
    content: str | None, message: str, labels: Path, tmp_path: Path, capsys: Captured
) -> None:
    if content is None:
        labels.unlink()
    else:
        labels.write_text(content)
    assert re.search(message, refusal(capsys, labels, Tiny().save(tmp_path)))


def test_a_full_disk_is_reported_without_the_name_of_a_temporary_file(
    labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    path = Tiny().save(tmp_path)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    message = refusal(capsys, labels, path)
    assert "export: No space left on device: free some space where the models are" in message


def test_there_must_be_one_input(labels: Path, tmp_path: Path, capsys: Captured) -> None:
    model = Tiny().model()
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["n", 3]))
    onnx.save(model, tmp_path / "tiny.onnx")
    message = refusal(capsys, labels, tmp_path / "tiny.onnx")
    assert "has the inputs 'image', 'mask'; a classifier of images has one" in message


@pytest.mark.parametrize(
    ("tiny", "message"),
    [
        (Tiny(channels=4), "shape (n, 4, 8, 10), without an axis of 1 or 3 colours"),
        (Tiny(dtype=TensorProto.INT32), "'image' is of type int32, and images are of one of"),
        (Tiny(opset=6), "uses the ONNX operator set 6; those from 7 to 24 can be imported"),
        (Tiny(opset=26), "uses the ONNX operator set 26; those from 7 to 24 can be imported"),
    ],
)
def test_the_error_names_the_input(
    tiny: Tiny, message: str, labels: Path, tmp_path: Path, capsys: Captured
) -> None:
    assert message in refusal(capsys, labels, tiny.save(tmp_path))


def test_there_must_be_an_axis_of_classes(labels: Path, tmp_path: Path, capsys: Captured) -> None:
    tail = [helper.make_node("ReduceMax", ["scores"], ["out"], keepdims=0)]
    message = refusal(capsys, labels, Tiny(tail=tail, outputs=()).save(tmp_path))
    assert "no output with a row of numbers, one for each class" in message
    assert "'out' ()" in message


def test_an_operator_that_onnx_runtime_lacks_is_named(
    labels: Path, tmp_path: Path, capsys: Captured
) -> None:
    tail = [helper.make_node("Sharpen", ["scores"], ["out"], "my_node")]
    message = refusal(capsys, labels, Tiny(tail=tail).save(tmp_path))
    assert re.search(r"ONNX Runtime \S+ cannot run .*my_node.*Sharpen", message)


def test_a_batch_that_cannot_be_made_free_is_refused_with_the_node(
    labels: Path, tmp_path: Path, capsys: Captured
) -> None:
    tail = [helper.make_node("Concat", ["scores", "more"], ["both"], "my_concat", axis=1),
            helper.make_node("Slice", ["both", "from", "to", "axis"], ["out"])]  # fmt: skip
    model = Tiny(batch=2, tail=tail).model()
    model.graph.initializer.append(numpy_helper.from_array(np.ones((2, 1), np.float32), "more"))
    for name, value in (("from", 0), ("to", 3), ("axis", 1)):
        model.graph.initializer.append(helper.make_tensor(name, TensorProto.INT64, [1], [value]))
    onnx.save(model, tmp_path / "tiny.onnx")
    message = refusal(capsys, labels, tmp_path / "tiny.onnx")
    assert "takes 2 images at once, and cannot be made to take another number: " in message
    assert "Name:'my_concat'" in message


def test_images_that_affect_each_other_are_refused(
    labels: Path, tmp_path: Path, capsys: Captured
) -> None:
    tail = [helper.make_node("ReduceMean", ["scores", "first"], ["middle"]),
            helper.make_node("Sub", ["scores", "middle"], ["out"])]  # fmt: skip
    model = Tiny(tail=tail).model()
    model.graph.initializer.append(helper.make_tensor("first", TensorProto.INT64, [1], [0]))
    onnx.save(model, tmp_path / "tiny.onnx")
    message = refusal(capsys, labels, tmp_path / "tiny.onnx")
    assert "what it returns for an image depends on the others" in message


def test_nan_is_refused_with_the_node_that_makes_it(
    labels: Path, tmp_path: Path, capsys: Captured
) -> None:
    tail = [helper.make_node("Sqrt", ["scores"], ["out"], "my_root")]
    message = refusal(capsys, labels, Tiny(tail=tail).save(tmp_path))
    assert "returns NaN or infinity for" in message
    assert "first at the node 'my_root' (Sqrt)" in message


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07", b"version https://git-lfs"])
def test_other_files_are_refused(
    content: bytes, labels: Path, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "tiny.onnx").write_bytes(content)
    assert "is not an ONNX file" in refusal(capsys, labels, tmp_path / "tiny.onnx")


def test_a_missing_file_is_named(labels: Path, tmp_path: Path, capsys: Captured) -> None:
    message = refusal(capsys, labels, tmp_path / "tiny.onnx")
    assert f"{tmp_path / 'tiny.onnx'} cannot be read: No such file" in message


def test_a_file_of_4_gb_is_refused_before_it_is_read(
    labels: Path, tmp_path: Path, capsys: Captured
) -> None:
    with (tmp_path / "tiny.onnx").open("wb") as file:
        file.truncate(4 * 10**9)  # takes no space
    message = refusal(capsys, labels, tmp_path / "tiny.onnx")
    assert "has 4.0 GB of weights, and an ONNX file holds at most 2 GB: export a smaller" in message


def test_memory_that_does_not_suffice_is_reported(
    labels: Path, tmp_path: Path, capsys: Captured
) -> None:
    with labels.open("wb") as file:
        file.truncate(8 * 10**12)  # takes no space
    message = refusal(capsys, labels, Tiny().save(tmp_path))
    assert "this machine has too little memory" in message


def save_apart(folder: Path, location: str) -> Path:
    """A model whose weights are in another file, which it expects at `location`."""
    path = folder / "model" / "tiny.onnx"
    path.parent.mkdir()
    model = Tiny().model()
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=100)
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    path.write_bytes(model.SerializeToString())
    return path


def test_weights_in_the_folder_of_the_model_are_read(labels: Path, tmp_path: Path) -> None:
    model = imported(labels, save_apart(tmp_path, "weights.bin"))
    assert "weights.bin" not in model.card.files
    assert model(np.zeros((2, SIDE, SIDE + 2, 3), np.uint8))[0].shape == (2, 3)


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("../weights.bin", "in ../weights.bin, outside its own folder: put the file beside"),
        ("/etc/hostname", "in /etc/hostname, outside its own folder"),
        ("gone.bin", "gone.bin, which does not exist: copy that file too"),
    ],
)
def test_weights_elsewhere_are_refused_with_the_tensor(
    location: str, message: str, labels: Path, tmp_path: Path, capsys: Captured
) -> None:
    found = refusal(capsys, labels, save_apart(tmp_path, location))
    assert message in found
    assert "stores the tensor 'kernels' in" in found


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--preparation", "digit"), "--preparation digit makes gray images of 28 x 28"),
        (("--resize", "9"), "--resize 9 is less than 10"),
        (("--resize", "0"), "--resize 0 is less than 10"),
        (("--resize", "5000"), "--resize 5000 is more than 4096, the largest value"),
        (("--resize", "9", "--preparation", "stretch"), "--resize is for --preparation photo"),
        (("--size", "224"), "takes images of 8 x 10, so --size cannot differ"),
        (("--gray",), "'image' has 3 colours: leave out --gray"),
        (("--mean", "0.1,0.2"), "--mean has 2 numbers, and the images have 3 channels"),
        (("--mean", "123,117,104"), "for means of 0..255, add --scale 1"),
        (("--std", "0"), "--std must be above 0"),
        (("--torch", "torch.nn:Flatten"), "either an ONNX file, or a network with --torch and"),
        (("--images", "nowhere"), "there is no folder, file or data set nowhere"),
    ],
)
def test_flags_that_contradict_the_file_are_refused(
    words: tuple[str, ...], message: str, labels: Path, tmp_path: Path, capsys: Captured
) -> None:
    assert message in refusal(capsys, labels, Tiny().save(tmp_path), *words)


def test_bytes_cannot_be_scaled(labels: Path, tmp_path: Path, capsys: Captured) -> None:
    path = Tiny(dtype=TensorProto.UINT8).save(tmp_path)
    message = refusal(capsys, labels, path, "--mean", "0.5", "--std", "0.5")
    assert "'image' takes bytes, which the model scales itself" in message


def test_a_model_for_any_size_needs_one(labels: Path, tmp_path: Path, capsys: Captured) -> None:
    model = Tiny(channels=1).model()
    for side in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        side.dim_param = "side"
    onnx.save(model, tmp_path / "tiny.onnx")
    message = refusal(capsys, labels, tmp_path / "tiny.onnx")
    assert "takes images of any size: choose one with --size" in message
    message = refusal(capsys, labels, tmp_path / "tiny.onnx", "--size", "5000x300")
    assert "takes images of 5000 x 300 pixels; a side may have at most 4096: set a" in message
    assert imported(labels, tmp_path / "tiny.onnx", "--size", "16x20").card.shape == (16, 20)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "horse/1.png",
            b"",
            "has images of unknown classes: horse; the known classes are cat",
        ),
        ("cat/1.png", b"not an image", r"cat/1\.png is not a readable image: the file"),
        ("cat/.hidden", b"", "cat holds no image"),
    ],
)
def test_a_folder_of_other_images_is_refused(
    name: str, content: bytes, message: str, labels: Path, tmp_path: Path, capsys: Captured
) -> None:
    file = tmp_path / "images" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    path = Tiny().save(tmp_path)
    assert re.search(message, refusal(capsys, labels, path, "--images", tmp_path / "images"))


def test_the_images_of_mnist_are_those_in_its_folder(
    labels: Path, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNIST_DIR", str(tmp_path / "my-mnist"))
    path = Tiny().save(tmp_path)
    assert str(tmp_path / "my-mnist") in refusal(capsys, labels, path, "--images", "mnist")
