"""Versions appear whole, are numbered, and are trusted only after every file was hashed."""

import multiprocessing
import shutil
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import pytest

from contract.card import ModelCard
from contract.errors import BrokenVersion, NoVersion
from contract.store import Store
from contract.version import Version


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models", "digits")


@pytest.fixture
def card(version: Version) -> ModelCard:
    return version.card.model_copy(update={"files": {}})


def publish(store: Store, card: ModelCard, content: bytes = b"weights") -> Version:
    with store.draft() as draft:
        (draft / "model.onnx").write_bytes(content)
        return store.publish(draft, card)


def test_versions_are_numbered_from_one(store: Store, card: ModelCard) -> None:
    assert [publish(store, card).number for _ in range(3)] == [1, 2, 3]
    assert store.versions() == [1, 2, 3]


def test_a_version_is_read_back_as_it_was_written(store: Store, card: ModelCard) -> None:
    publish(store, card, b"the weights")
    version = store.open(1)
    assert version.read("model.onnx") == b"the weights"
    assert version.card.files["model.onnx"].size == 11


def test_publishing_does_not_change_what_is_served(store: Store, card: ModelCard) -> None:
    publish(store, card)
    store.activate(1)
    publish(store, card)
    assert store.current() == 1
    store.activate(2)
    assert store.current() == 2
    assert store.open().number == 2


def test_a_draft_that_is_not_published_leaves_nothing(store: Store) -> None:
    with store.draft() as draft:
        (draft / "model.onnx").write_bytes(b"half")
    assert store.versions() == []
    assert list(store.folder.iterdir()) == []


def test_a_draft_is_no_version_for_readers(store: Store) -> None:
    with store.draft():
        assert store.versions() == []


def _publish_some(root: Path, card: str, together: Barrier) -> None:
    for _ in range(10):
        together.wait()
        publish(Store(root, "digits"), ModelCard.from_json(card))


def test_processes_that_publish_at_once_get_different_numbers(
    store: Store, card: ModelCard
) -> None:
    spawn = multiprocessing.get_context("spawn")
    together = spawn.Barrier(4, timeout=20)  # so that they do look for a number at the same time
    writers = [
        spawn.Process(target=_publish_some, args=(store.folder.parent, card.to_json(), together))
        for _ in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0, 0]
    assert store.versions() == list(range(1, 41))
    assert [path.name for path in store.folder.iterdir() if path.name.startswith(".")] == []


def _read_on(root: Path, begun: Event, ended: Event) -> None:
    """Open what is current, again and again: whatever is there must be whole."""
    store = Store(root, "digits")
    while not ended.is_set():
        assert store.open().number <= max(store.versions())
        store.open(max(store.versions()))
        begun.set()


def test_a_reader_never_sees_half_a_version_or_half_a_switch(store: Store, card: ModelCard) -> None:
    publish(store, card)
    store.activate(1)
    spawn = multiprocessing.get_context("spawn")
    begun, ended = spawn.Event(), spawn.Event()
    reader = spawn.Process(target=_read_on, args=(store.folder.parent, begun, ended))
    reader.start()
    assert begun.wait(60)
    for _ in range(60):
        store.activate(publish(store, card, bytes(300_000)).number)
    ended.set()
    reader.join(60)
    assert reader.exitcode == 0


@pytest.mark.parametrize("name", ["current", "1/card.json", "1/model.onnx"])
def test_a_folder_where_a_file_should_be_is_named(store: Store, card: ModelCard, name: str) -> None:
    publish(store, card)
    store.activate(1)
    (store.folder / name).unlink()
    (store.folder / name).mkdir()
    with pytest.raises(BrokenVersion, match=f"{name} .*cannot be read"):
        store.open()


def test_a_store_that_is_no_folder_is_named(tmp_path: Path, card: ModelCard) -> None:
    (tmp_path / "digits").write_text("a file")
    with pytest.raises(BrokenVersion, match=r"digits/current cannot be read"):
        Store(tmp_path, "digits").open()


def test_a_version_under_another_models_name_is_refused(store: Store, card: ModelCard) -> None:
    publish(store, card)
    other = store.folder.rename(store.folder.with_name("letters"))
    with pytest.raises(BrokenVersion, match=r"card\.json is of a model named 'digits'"):
        Store(other.parent, "letters").open(1)


def test_one_byte_less_is_refused_with_the_file_and_both_hashes(
    published: tuple[Store, Version], tmp_path: Path
) -> None:
    original, version = published
    shutil.copytree(original.folder, tmp_path / "digits")
    model = tmp_path / "digits/1/model.onnx"
    model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(BrokenVersion) as broken:
        Store(tmp_path, "digits").open()
    assert str(model) in str(broken.value)
    assert version.card.files["model.onnx"].sha256 in str(broken.value)
    assert len([word for word in str(broken.value).split() if len(word.rstrip(".,")) == 64]) == 2


def test_a_file_that_changes_after_it_was_verified_is_not_used(
    store: Store, card: ModelCard
) -> None:
    publish(store, card)
    version = store.open(1)
    (version.folder / "model.onnx").write_bytes(b"other!!")
    with pytest.raises(BrokenVersion, match=r"model\.onnx"):
        version.read("model.onnx")


@pytest.mark.parametrize("name", ["card.json", "model.onnx"])
def test_a_missing_file_is_named(store: Store, card: ModelCard, name: str) -> None:
    (publish(store, card).folder / name).unlink()
    with pytest.raises(BrokenVersion, match=name):
        store.open(1)


def test_a_damaged_card_is_named(store: Store, card: ModelCard) -> None:
    (publish(store, card).folder / "card.json").write_text("{}")
    with pytest.raises(BrokenVersion, match=r"card\.json is not a model card: .*labels"):
        store.open(1)


def test_a_version_that_is_not_there_is_refused_with_those_that_are(
    store: Store, card: ModelCard
) -> None:
    publish(store, card)
    with pytest.raises(NoVersion, match="published versions: 1"):
        store.activate(7)


def test_a_broken_version_cannot_be_activated(store: Store, card: ModelCard) -> None:
    publish(store, card)
    store.activate(1)
    (publish(store, card).folder / "model.onnx").write_bytes(b"")
    with pytest.raises(BrokenVersion):
        store.activate(2)
    assert store.current() == 1


def test_an_empty_store_says_how_to_fill_it(store: Store) -> None:
    with pytest.raises(NoVersion, match="make export"):
        store.open()


def test_a_damaged_current_is_named(store: Store, card: ModelCard) -> None:
    publish(store, card)
    for damage in (b"../../etc", b"", b"\xff\xfe", b"0"):
        (store.folder / "current").write_bytes(damage)
        with pytest.raises(BrokenVersion, match="current must hold a version number"):
            store.open()


@pytest.mark.parametrize("name", ["", "../digits", ".hidden", "a/b"])
def test_a_name_that_leaves_the_store_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a model"):
        Store(tmp_path, name)
