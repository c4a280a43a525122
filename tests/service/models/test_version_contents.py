"""A version consists of the files in its folder that are on its card: nothing else is read."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, external_data_helper, helper

from contract.card import ONNX, SAMPLE
from contract.errors import BrokenVersion
from contract.store import Store
from contract.version import Version
from service.engine.external_data import external_files
from tests.support.pictures import encoded, seven
from tests.support.running import ADMIN, ROOT, TOKEN, Service
from tests.support.versions import publish, two_versions

OUTSIDE = "README.md"  # in the working directory of the service


@pytest.fixture(scope="module")
def store(published: tuple[Store, Version], tmp_path_factory: pytest.TempPathFactory) -> Store:
    return two_versions(published, tmp_path_factory.mktemp("contents"))


@pytest.fixture(scope="module")
def service(store: Store) -> Iterator[Service]:
    with Service.started(store.folder.parent, admin_token=TOKEN, watch_seconds=0) as service:
        yield service


def in_file(name: str, *shape: int) -> TensorProto:
    """A tensor whose values are in README.md."""
    tensor = TensorProto(
        name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL
    )
    for key, value in (("location", OUTSIDE), ("offset", 0), ("length", 4 * int(np.prod(shape)))):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def initializer(graph: onnx.GraphProto) -> None:
    replaced = next(each for each in graph.initializer if each.data_type == TensorProto.FLOAT)
    replaced.CopyFrom(in_file(replaced.name, *replaced.dims))


def constant(graph: onnx.GraphProto) -> None:
    graph.node.append(helper.make_node("Constant", [], ["unused"], value=in_file("value", 10)))


def sparse(graph: onnx.GraphProto) -> None:
    indices = helper.make_tensor("indices", TensorProto.INT64, [1], [0])
    graph.sparse_initializer.append(helper.make_sparse_tensor(in_file("sparse", 1), indices, [10]))


def branch(graph: onnx.GraphProto) -> None:
    value = helper.make_tensor_value_info("out", TensorProto.FLOAT, [10])
    inside = helper.make_graph(
        [helper.make_node("Identity", ["w"], ["out"])], "inside", [], [value], [in_file("w", 10)]
    )
    graph.initializer.append(helper.make_tensor("yes", TensorProto.BOOL, [], [True]))
    graph.node.append(
        helper.make_node("If", ["yes"], ["unused"], then_branch=inside, else_branch=inside)
    )


def changed(change: Callable[[onnx.GraphProto], None]) -> Callable[[Path], None]:
    def change_file(draft: Path) -> None:
        model = onnx.load(draft / ONNX)
        change(model.graph)
        (draft / ONNX).write_bytes(model.SerializeToString())

    return change_file


@pytest.mark.parametrize("change", [initializer, constant, sparse, branch])
def test_weights_in_a_file_outside_the_version_are_rejected(
    service: Service,
    store: Store,
    version: Version,
    change: Callable[[onnx.GraphProto], None],
) -> None:
    assert (ROOT / OUTSIDE).exists()
    number = publish(store, version, changed(change))
    with service.client(headers=ADMIN) as client:
        refused = client.post(f"/v1/models/digits/versions/{number}/activate")
    assert refused.status_code == 409, refused.text
    assert "the check 'load' failed: model.onnx" in refused.json()["detail"]
    assert f"'{OUTSIDE}'" in refused.json()["detail"]
    assert store.current() == 1


def test_weights_in_a_file_of_the_version_are_loaded(
    service: Service, store: Store, version: Version
) -> None:
    def beside(draft: Path) -> None:
        model = onnx.load(draft / ONNX)
        external_data_helper.convert_model_to_external_data(
            model, location="weights.bin", size_threshold=1024
        )
        (draft / ONNX).unlink()
        onnx.save(model, draft / ONNX)

    number = publish(store, version, beside)
    assert (store.folder / f"{number}/weights.bin").stat().st_size > 10_000
    with service.client(headers=ADMIN) as client:
        switched = client.post(f"/v1/models/digits/versions/{number}/activate")
        assert switched.status_code == 200, switched.text
        png = {"Content-Type": "image/png"}
        answer = client.post("/v1/predict", content=encoded(seven()), headers=png).json()
        assert answer["model"]["version"] == str(number)
        assert answer["predictions"][0]["label"] == "7"
        assert client.post("/v1/models/digits/versions/1/activate").status_code == 200


def test_a_symbolic_link_in_a_version_is_rejected(
    service: Service, store: Store, version: Version, tmp_path: Path
) -> None:
    """Even if its target has the content on the card: that may change at any time."""
    number = publish(store, version)
    for name in (ONNX, SAMPLE, "card.json"):
        file, outside = store.folder / f"{number}/{name}", tmp_path / name
        shutil.move(file, outside)
        file.symlink_to(outside)
        with service.client(headers=ADMIN) as client:
            refused = client.post(f"/v1/models/digits/versions/{number}/activate")
        assert refused.status_code == 409, refused.text
        assert f"{number}/{name}" in refused.json()["detail"]
        assert "it is a symbolic link" in refused.json()["detail"]
        file.unlink()
        shutil.move(outside, file)
    assert store.open(number).number == number


def test_links_and_pipes_are_not_published(version: Version, tmp_path: Path) -> None:
    store = Store(tmp_path, "digits")
    link, pipe = "it is a symbolic link", "it is not a regular file"
    with pytest.raises(OSError, match=link):
        publish(store, version, lambda draft: (draft / "link").symlink_to(ROOT / OUTSIDE))
    with pytest.raises(OSError, match=pipe):
        publish(store, version, lambda draft: os.mkfifo(draft / "pipe"))
    assert store.versions() == []


def test_a_file_that_has_grown_is_rejected_before_it_is_read(
    version: Version, tmp_path: Path
) -> None:
    store = Store(tmp_path, "digits")
    number = publish(store, version)
    os.truncate(store.folder / f"{number}/{ONNX}", 2**42)  # 4 TiB as a sparse file
    with pytest.raises(BrokenVersion, match=rf"{ONNX} is not the file .* it has {2**42} bytes"):
        store.open(number)


@pytest.mark.parametrize(
    "content",
    [b"no graph", b"\x3a\x05", b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x3b\x3c"],
    ids=["text", "cut off", "endless number", "groups"],
)
def test_content_that_cannot_be_parsed_is_not_a_graph(content: bytes) -> None:
    with pytest.raises(ValueError, match="it is not an ONNX graph"):
        external_files(content)


def test_a_graph_that_refers_to_a_compiled_one_is_rejected() -> None:
    node = helper.make_node("EPContext", [], ["out"], domain="com.microsoft", ep_cache_context="/a")
    model = helper.make_model(helper.make_graph([node], "compiled", [], []))
    with pytest.raises(ValueError, match="EPContext"):
        external_files(model.SerializeToString())
