"""Versions appear atomically, are numbered, and are used only after every file was hashed."""

import errno
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any

import pytest

from contract.card import ModelCard
from contract.current import BadHistory
from contract.errors import BrokenVersion, Moved, NoModel, NoVersion
from contract.files import Busy, locked
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


def test_a_version_is_read_back_as_written(store: Store, card: ModelCard) -> None:
    publish(store, card, b"the weights")
    version = store.open(1)
    assert version.read("model.onnx") == b"the weights"
    assert version.card.files["model.onnx"].size == 11


def test_publishing_does_not_change_the_current_version(store: Store, card: ModelCard) -> None:
    publish(store, card)
    store.activate(1)
    publish(store, card)
    assert store.current() == 1
    store.activate(2)
    assert store.current() == 2
    assert store.open().number == 2


def test_a_version_replaces_only_the_expected_one(store: Store, card: ModelCard) -> None:
    for _ in range(3):
        publish(store, card)
    store.activate(1)
    with pytest.raises(Moved, match="the current version is 1 and no longer 2"):
        store.activate(3, expected=2)
    assert store.current() == 1
    store.activate(3, expected=1)
    assert store.activate(3, expected=1) is None, "a second attempt changes nothing"
    assert store.current() == 3


def test_an_unpublished_draft_leaves_nothing(store: Store) -> None:
    with store.draft() as draft:
        (draft / "model.onnx").write_bytes(b"half")
    assert store.versions() == []
    assert list(store.folder.iterdir()) == []


def test_a_draft_is_not_listed_as_a_version(store: Store) -> None:
    with store.draft():
        assert store.versions() == []


def _publish_some(root: Path, card: str, together: Barrier) -> None:
    for _ in range(10):
        together.wait()
        publish(Store(root, "digits"), ModelCard.from_json(card))


def test_concurrent_publishers_get_different_numbers(store: Store, card: ModelCard) -> None:
    spawn = multiprocessing.get_context("spawn")
    together = spawn.Barrier(4, timeout=20)  # so that they compete for the same number
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


def _read_until_stopped(root: Path, begun: Event, ended: Event) -> None:
    """Open the current and the newest version repeatedly: both must be complete."""
    store = Store(root, "digits")
    while not ended.is_set():
        assert store.open().number <= max(store.versions())
        store.open(max(store.versions()))
        begun.set()


def test_readers_never_see_a_partial_version_or_switch(store: Store, card: ModelCard) -> None:
    publish(store, card)
    store.activate(1)
    spawn = multiprocessing.get_context("spawn")
    begun, ended = spawn.Event(), spawn.Event()
    reader = spawn.Process(target=_read_until_stopped, args=(store.folder.parent, begun, ended))
    reader.start()
    assert begun.wait(60)
    for _ in range(60):
        store.activate(publish(store, card, bytes(300_000)).number)
    ended.set()
    reader.join(60)
    assert reader.exitcode == 0


@pytest.mark.parametrize("name", ["current", "1/card.json", "1/model.onnx"])
def test_the_error_names_a_folder_in_place_of_a_file(
    store: Store, card: ModelCard, name: str
) -> None:
    publish(store, card)
    store.activate(1)
    (store.folder / name).unlink()
    (store.folder / name).mkdir()
    with pytest.raises(BrokenVersion, match=f"{name} .*cannot be read"):
        store.open()


def test_the_error_names_a_file_in_place_of_the_store(tmp_path: Path, card: ModelCard) -> None:
    (tmp_path / "digits").write_text("a file")
    with pytest.raises(BrokenVersion, match=r"digits/current cannot be read"):
        Store(tmp_path, "digits").open()


def test_a_version_of_another_model_is_rejected(store: Store, card: ModelCard) -> None:
    publish(store, card)
    other = store.folder.rename(store.folder.with_name("letters"))
    with pytest.raises(BrokenVersion, match=r"card\.json is of a model named 'digits'"):
        Store(other.parent, "letters").open(1)


def test_a_truncated_file_is_rejected_with_both_hashes(
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


def test_a_file_modified_after_verification_is_not_used(store: Store, card: ModelCard) -> None:
    publish(store, card)
    version = store.open(1)
    (version.folder / "model.onnx").write_bytes(b"other!!")
    with pytest.raises(BrokenVersion, match=r"model\.onnx"):
        version.read("model.onnx")


@pytest.mark.parametrize("name", ["card.json", "model.onnx"])
def test_the_error_names_a_missing_file(store: Store, card: ModelCard, name: str) -> None:
    (publish(store, card).folder / name).unlink()
    with pytest.raises(BrokenVersion, match=name):
        store.open(1)


def test_the_error_names_a_damaged_card(store: Store, card: ModelCard) -> None:
    (publish(store, card).folder / "card.json").write_text("{}")
    with pytest.raises(BrokenVersion, match=r"card\.json is not a model card: .*labels"):
        store.open(1)


def test_the_error_about_a_missing_version_lists_the_published_ones(
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


def test_the_error_about_an_empty_store_says_how_to_fill_it(store: Store) -> None:
    with pytest.raises(NoVersion, match="make export"):
        store.open()


def test_in_a_container_of_compose_the_error_names_its_command(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITSERVE_COMPOSE", "true")
    with pytest.raises(NoVersion, match=r"\(docker compose run --rm trainer\)"):
        store.open()


def test_the_error_names_a_damaged_current_file(store: Store, card: ModelCard) -> None:
    publish(store, card)
    for damage in (b"../../etc", b"", b"\xff\xfe", b"0"):
        (store.folder / "current").write_bytes(damage)
        with pytest.raises(BrokenVersion, match="current must hold a version number"):
            store.open()


def test_the_error_about_a_missing_model_lists_the_others(store: Store, card: ModelCard) -> None:
    with pytest.raises(NoModel, match="digits does not exist: its parent folder is missing too"):
        store.current()
    root = store.folder.parent
    (root / ".lost").mkdir(parents=True)
    with pytest.raises(NoModel, match="digits does not exist: that store has no model"):
        store.current()
    for name in ("letters", "fashion"):
        publish(Store(root, name), card)
    with pytest.raises(NoModel, match=r"does not exist: other models .*: fashion, letters\. Name"):
        store.current()


@pytest.mark.parametrize("name", ["", "../digits", ".hidden", "a/b"])
def test_a_name_that_leaves_the_store_is_rejected(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a model"):
        Store(tmp_path, name)


# ---- history of the current version ------------------------------------------------------------


def switches(store: Store) -> list[tuple[str, int | None, int]]:
    return [(each.action, each.before, each.after) for each in store.history()]


@pytest.fixture
def three(store: Store, card: ModelCard) -> Store:
    """A store in which 1, then 2, then 3 was activated."""
    for _ in range(3):
        store.activate(publish(store, card).number)
    return store


def test_every_switch_is_recorded_with_its_time_and_both_versions(three: Store) -> None:
    before = datetime.now(UTC) - timedelta(minutes=1)
    assert switches(three) == [("activate", None, 1), ("activate", 1, 2), ("activate", 2, 3)]
    assert all(before < each.at <= datetime.now(UTC) for each in three.history())


def test_repeated_rollbacks_end_at_the_first_version(three: Store) -> None:
    assert [three.rollback().after for _ in range(2)] == [2, 1]
    assert switches(three)[-2:] == [("rollback", 3, 2), ("rollback", 2, 1)]
    with pytest.raises(NoVersion, match="no version that was current before"):
        three.rollback()
    assert three.current() == 1


def test_activating_after_a_rollback_continues_from_there(three: Store, card: ModelCard) -> None:
    three.rollback()
    three.activate(publish(three, card).number)
    assert [three.rollback().after for _ in range(2)] == [2, 1]


def test_activating_the_current_version_changes_nothing(three: Store) -> None:
    assert three.activate(3) is None
    assert len(three.history()) == 3


def test_a_manual_edit_of_current_is_detected_and_recorded(three: Store) -> None:
    (three.folder / "current").write_text("1\n")
    assert switches(three)[-1] == ("found", 3, 1)
    three.activate(2)
    assert switches(three)[-2:] == [("found", 3, 1), ("activate", 1, 2)]


def test_a_switch_reverted_by_hand_is_ignored_by_rollback(three: Store) -> None:
    (three.folder / "current").write_text("2\n")
    assert three.rollback().after == 1


def test_rollback_rejects_a_broken_version(three: Store) -> None:
    (three.folder / "2/model.onnx").write_bytes(b"")
    with pytest.raises(BrokenVersion, match=r"2/model\.onnx"):
        three.rollback()
    assert three.current() == 3


def test_a_damaged_history_blocks_switches_but_not_reads(three: Store) -> None:
    with (three.folder / "history.jsonl").open("a") as file:
        file.write("half a li")
    with pytest.raises(BadHistory, match=r"history\.jsonl: line 4 .*'half a li'.* move the file"):
        three.activate(1)
    assert three.open().number == 3


def test_the_history_is_bounded(three: Store) -> None:
    path = three.folder / "history.jsonl"
    path.write_text(path.read_text() * 400)
    three.activate(1)
    assert len(three.history()) == 1000
    assert switches(three)[-1] == ("activate", 3, 1)


@pytest.mark.parametrize("spoil", [lambda path: path.write_text("?"), lambda path: path.unlink()])
def test_activating_repairs_a_damaged_current_file_and_keeps_the_history(
    three: Store, spoil: Callable[[Path], object]
) -> None:
    spoil(three.folder / "current")
    assert three.prune(1) == [1]  # 3 was current, and 2 before it
    three.activate(2)
    assert three.current() == 2
    assert switches(three)[-1] == ("activate", 3, 2)


def test_a_folder_in_place_of_current_prevents_a_switch(three: Store) -> None:
    before = three.history()
    (three.folder / "current").unlink()
    (three.folder / "current").mkdir()
    with pytest.raises(IsADirectoryError, match="current"):
        three.activate(1)
    assert three.history() == before


def test_the_error_without_a_current_version_lists_the_published_ones(three: Store) -> None:
    (three.folder / "current").unlink()
    with pytest.raises(NoVersion, match="activate one of 1, 2, 3"):
        three.open()


def _switch_some(root: Path, numbers: list[int], together: Barrier) -> None:
    store = Store(root, "digits")
    together.wait()
    for number in numbers * 10:
        store.activate(number)


def test_concurrent_switches_leave_a_consistent_history(three: Store) -> None:
    spawn = multiprocessing.get_context("spawn")
    together = spawn.Barrier(3, timeout=20)
    writers = [
        spawn.Process(target=_switch_some, args=(three.folder.parent, numbers, together))
        for numbers in ([1, 2], [2, 3], [3, 1])
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    history = three.history()
    assert all(a.after == b.before for a, b in pairwise(history))
    assert history[-1].after == three.current()
    assert "found" not in {each.action for each in history}


def test_waiting_for_a_held_lock_times_out_with_an_error(three: Store) -> None:
    path = three.folder / ".lock"
    with locked(path), pytest.raises(Busy, match=r"\.lock for 0\.05 s"), locked(path, 0.05):
        pass


# ---- pruning ------------------------------------------------------------------------------------


def test_pruning_keeps_the_newest_the_current_and_the_previous_version(
    three: Store, card: ModelCard
) -> None:
    for _ in range(3):
        publish(three, card)
    assert three.prune(1, dry=True) == [1, 4, 5]
    assert three.versions() == [1, 2, 3, 4, 5, 6]
    assert three.prune(1) == [1, 4, 5]
    assert three.versions() == [2, 3, 6]
    assert three.rollback().after == 2


def test_a_version_between_two_activations_of_another_may_be_pruned(three: Store) -> None:
    three.rollback()
    three.activate(1)  # the way back is now 2, then 1; 2 is removed
    shutil.rmtree(three.folder / "2")
    with pytest.raises(NoVersion, match="no version that was current before"):
        three.rollback()
    assert three.prune(1) == []


def test_pruning_a_missing_store_removes_nothing(store: Store) -> None:
    assert store.prune(1) == store.prune(1, dry=True) == []
    assert not store.folder.exists()


def test_the_number_of_a_pruned_version_is_not_reused(three: Store, card: ModelCard) -> None:
    three.rollback()
    three.rollback()
    shutil.rmtree(three.folder / "3")
    assert publish(three, card).number == 4


def test_pruning_removes_abandoned_drafts_but_not_recent_ones(
    three: Store,
) -> None:
    for name in (".draft-old", ".draft-new", ".pruned-9-abc"):
        (three.folder / name).mkdir()
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(three.folder / ".draft-old", (long_ago, long_ago))
    three.prune(3)
    assert sorted(path.name for path in three.folder.glob(".*-*")) == [".draft-new"]


# ---- file systems without atomic or immediately visible renames --------------------------------


@pytest.mark.parametrize("order", [1, -1], ids=["card first", "card last"])
def test_a_version_that_appears_file_by_file_is_rejected_until_complete(
    three: Store, order: int
) -> None:
    """As a rename appears on a mounted object store, or while a folder is being copied."""
    source, arriving = three.folder / "3", three.folder / "9"
    (three.folder / "current").write_text("9\n")
    with pytest.raises(NoVersion):
        three.open()
    arriving.mkdir()
    for path in sorted(source.iterdir())[::order]:
        content = path.read_bytes()
        for part in (content[: len(content) // 2], content):
            with pytest.raises(BrokenVersion):
                three.open()
            (arriving / path.name).write_bytes(part)
    assert three.open().number == 9


def test_a_reader_overtaken_by_a_switch_and_a_prune_opens_the_new_version(
    three: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = iter([1, 3, 3])  # 1 is what it read before the switch
    shutil.rmtree(three.folder / "1")
    monkeypatch.setattr(three, "current", lambda: next(numbers))
    assert three.open().number == 3


def test_a_stale_file_handle_is_retried(three: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS returns ESTALE for a file that another machine has just replaced."""
    really, stale = os.open, [OSError(errno.ESTALE, "Stale file handle")]

    def opened(path: Path, *options: Any) -> int:
        if Path(path).name == "current" and stale:
            raise stale.pop()
        return really(path, *options)

    monkeypatch.setattr(os, "open", opened)
    assert three.current() == 3
    assert stale == []
