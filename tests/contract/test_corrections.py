"""Corrections of users in a folder: accepted, waiting for a decision, or rejected."""

import json
import os
import re
import time
from collections import Counter
from pathlib import Path

import pytest

from contract.corrections import (
    Correction,
    Corrections,
    ImplausibleAge,
    NoCorrection,
    NoDecision,
    hash_of,
    is_held_out,
)
from contract.label_studio import main as label_studio
from tests.fixtures import MODELS

PNG = b"what is in the file does not matter here"
IMAGE, OTHER = hash_of(b"one image"), hash_of(b"another image")


@pytest.fixture
def corrections(tmp_path: Path) -> Corrections:
    return Corrections(tmp_path)


def states(corrections: Corrections, image: str = IMAGE) -> dict[str, str]:
    return {each.label: each.state for each in corrections.of(image)}


def test_an_image_is_a_file_in_the_folder_of_its_label(corrections: Corrections) -> None:
    corrections.add(IMAGE, "7", PNG, suspicious=False)
    assert (corrections.folder / f"accepted/7/{IMAGE}.png").read_bytes() == PNG
    assert corrections.png(IMAGE) == PNG


def test_the_same_correction_twice_is_one(corrections: Corrections) -> None:
    first = corrections.add(IMAGE, "7", PNG, suspicious=False)
    assert corrections.add(IMAGE, "7", PNG, suspicious=True) == first
    assert [*corrections.all()] == [first]


def test_a_suspicious_correction_waits(corrections: Corrections) -> None:
    assert corrections.add(IMAGE, "7", PNG, suspicious=True).state == "waiting"


def test_an_image_with_two_labels_is_disputed_and_both_wait(corrections: Corrections) -> None:
    corrections.add(IMAGE, "7", PNG, suspicious=False)
    corrections.add(IMAGE, "1", PNG, suspicious=False)
    assert states(corrections) == {"7": "waiting", "1": "waiting"}


def test_accepting_a_label_rejects_the_others(corrections: Corrections) -> None:
    for label in ("7", "1"):
        corrections.add(IMAGE, label, PNG, suspicious=False)
    with pytest.raises(NoDecision, match="name one of 1, 7"):
        corrections.accept(IMAGE)
    corrections.accept(IMAGE, "7")
    assert states(corrections) == {"7": "accepted", "1": "rejected"}


def test_a_rejected_correction_is_not_accepted_when_it_comes_again(
    corrections: Corrections,
) -> None:
    corrections.add(IMAGE, "1", PNG, suspicious=False)
    corrections.reject(IMAGE)
    assert corrections.add(IMAGE, "1", PNG, suspicious=False).state == "rejected"
    assert corrections.add(IMAGE, "7", PNG, suspicious=False).state == "accepted"


def test_what_an_admin_has_decided_stays_when_another_label_comes(
    corrections: Corrections,
) -> None:
    for label in ("7", "1"):
        corrections.add(IMAGE, label, PNG, suspicious=False)
    corrections.accept(IMAGE, "7")
    corrections.add(IMAGE, "2", PNG, suspicious=False)
    assert states(corrections) == {"7": "accepted", "1": "rejected", "2": "waiting"}


def test_what_an_admin_has_accepted_stays_when_a_second_label_comes(
    corrections: Corrections,
) -> None:
    corrections.add(IMAGE, "1", PNG, suspicious=True)
    corrections.accept(IMAGE)
    corrections.add(IMAGE, "7", PNG, suspicious=False)
    assert states(corrections) == {"1": "accepted", "7": "waiting"}
    corrections.accept(IMAGE, "7")
    assert states(corrections) == {"1": "rejected", "7": "accepted"}


def test_a_rejected_label_does_not_decide_for_the_others(corrections: Corrections) -> None:
    corrections.add(IMAGE, "1", PNG, suspicious=False)
    corrections.reject(IMAGE)
    for label in ("7", "2"):
        corrections.add(IMAGE, label, PNG, suspicious=False)
    assert states(corrections) == {"1": "rejected", "7": "waiting", "2": "waiting"}


def test_only_what_an_admin_has_accepted_is_reviewed(corrections: Corrections) -> None:
    for image in (IMAGE, OTHER):
        corrections.add(image, "7", PNG, suspicious=False)
    corrections.accept(IMAGE)
    assert {each.sha256: each.reviewed for each in corrections.all()} == {IMAGE: True, OTHER: False}
    corrections.reject(IMAGE)
    assert not any(each.reviewed for each in corrections.all())


def test_the_same_label_from_two_services_at_once_is_no_dispute(tmp_path: Path) -> None:
    class Slower(Corrections):
        """Another service adds the correction after this one has looked for it."""

        def find(self, image: str, label: str) -> Correction | None:
            found = super().find(image, label)
            Corrections(tmp_path).add(image, label, PNG, suspicious=False)
            return found

    slower = Slower(tmp_path)
    assert slower.add(IMAGE, "7", PNG, suspicious=False).state == "accepted"
    assert states(slower) == {"7": "accepted"}


def test_deleting_an_image_leaves_no_trace_of_it(corrections: Corrections) -> None:
    corrections.add(IMAGE, "7", PNG, suspicious=False)
    corrections.add(OTHER, "7", PNG, suspicious=False)
    corrections.accept(IMAGE)
    corrections.delete(IMAGE)
    assert [each.sha256 for each in corrections.all()] == [OTHER]
    assert not [*corrections.folder.rglob(f"*{IMAGE}*")]
    for change in (corrections.accept, corrections.reject, corrections.delete, corrections.png):
        with pytest.raises(NoCorrection, match=IMAGE):
            change(IMAGE)


@pytest.mark.parametrize("label", ["a cat", "and/or", "..", ".hidden", "100 %", "%2F", "Überzug"])
def test_any_label_is_a_plain_folder(corrections: Corrections, label: str) -> None:
    corrections.add(IMAGE, label, PNG, suspicious=False)
    (folder,) = (corrections.folder / "accepted").iterdir()
    assert not folder.name.startswith(".")
    assert [each.label for each in corrections.all()] == [label]


def test_pruning_removes_old_corrections_and_drafts_of_killed_processes(
    corrections: Corrections,
) -> None:
    corrections.add(IMAGE, "7", PNG, suspicious=False)
    corrections.add(OTHER, "7", PNG, suspicious=False)
    draft = corrections.folder / "accepted/7/.half-written"
    draft.touch()
    for path in (draft, corrections.folder / f"accepted/7/{IMAGE}.png"):
        os.utime(path, (1e9, 1e9))
    assert corrections.prune(before=time.time() - 60) == 1
    assert [each.sha256 for each in corrections.all()] == [OTHER]
    assert not draft.exists()


def test_pruning_refuses_to_remove_most_corrections(corrections: Corrections) -> None:
    """As it would if the clock were wrong."""
    for number in range(40):
        image = hash_of(b"%d" % number)
        corrections.add(image, "7", PNG, suspicious=False)
        if number < 21:
            os.utime(corrections.folder / f"accepted/7/{image}.png", (1e9, 1e9))
    with pytest.raises(ImplausibleAge, match=r"21 of 40 corrections in .* are too old"):
        corrections.prune(before=time.time() - 60)
    assert len([*corrections.all()]) == 40


def test_of_the_rejected_ones_the_oldest_are_removed(corrections: Corrections) -> None:
    images = [hash_of(b"%d" % number) for number in range(4)]
    for age, image in enumerate(images):
        corrections.add(image, "7", PNG, suspicious=False)
        corrections.reject(image)
        os.utime(corrections.folder / f"rejected/7/{image}.png", (2e9 - age, 2e9 - age))
    corrections.add(OTHER, "7", PNG, suspicious=False)
    assert corrections.prune_rejected(most=3, most_bytes=1000) == 1
    assert corrections.prune_rejected(most=3, most_bytes=2 * len(PNG)) == 1
    assert {each.sha256 for each in corrections.all()} == {OTHER, *images[:2]}


def test_a_file_that_is_no_correction_is_left_alone(corrections: Corrections) -> None:
    folder = corrections.folder / "accepted/7"
    folder.mkdir(parents=True)
    (folder / "notes.png").touch()
    assert [*corrections.all()] == []
    assert corrections.prune(before=time.time() + 60) == 0
    assert (folder / "notes.png").exists()


def test_a_fifth_of_all_images_is_held_out() -> None:
    held_out = Counter(is_held_out(hash_of(b"%d" % each)) for each in range(5000))
    assert 900 < held_out[True] < 1100


# ---- Label Studio -------------------------------------------------------------------------------


def annotated(task: dict[str, object], *choices: str, skipped: bool = False) -> dict[str, object]:
    """A task as Label Studio exports it, once an annotator has chosen labels."""
    results = [
        {"id": "x", "from_name": "label", "to_name": "image", "type": "choices", "origin": "manual",
         "value": {"choices": [choice]}}
        for choice in choices
    ]  # fmt: skip
    annotation = {"id": 1, "completed_by": 1, "was_cancelled": skipped, "result": results}
    return task | {"id": 1, "annotations": [annotation]}


def exported(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    assert label_studio(["export", str(folder)]) == 0
    tasks: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return tasks


def test_annotations_in_label_studio_decide_what_waits(
    corrections: Corrections, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    third = hash_of(b"a third image")
    for label in ("7", "1"):
        corrections.add(IMAGE, label, PNG, suspicious=False)
    for image in (OTHER, third):
        corrections.add(image, "7", PNG, suspicious=True)
    tasks = exported(corrections.folder, capsys)
    keys = {task["data"]["sha256"]: task for task in tasks}  # type: ignore[index]
    results = [annotated(keys[IMAGE], "7"), annotated(keys[OTHER], "4")]
    results.append(annotated(keys[third], "7", skipped=True))
    (tmp_path / "annotated.json").write_text(json.dumps(results))
    words = ["import", str(corrections.folder), str(tmp_path / "annotated.json")]
    assert label_studio([*words, "--models", str(tmp_path / "none")]) == 0
    said = capsys.readouterr().err
    assert "2 images accepted, 1 without a choice" in said
    assert "there is no version, so the labels are not checked" in said
    assert states(corrections) == {"7": "accepted", "1": "rejected"}
    assert states(corrections, OTHER) == {"4": "accepted", "7": "rejected"}
    assert states(corrections, third) == {"7": "waiting"}


@pytest.mark.parametrize("words", [["--labels", "1,7"], ["--models", str(MODELS)]])
def test_a_misspelt_choice_is_refused_and_nothing_is_imported(
    words: list[str],
    corrections: Corrections,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    for image in (IMAGE, OTHER):
        corrections.add(image, "7", PNG, suspicious=True)
    first, second = exported(corrections.folder, capsys)
    file = tmp_path / "annotated.json"
    file.write_text(json.dumps([annotated(first, "7"), annotated(second, "seven")]))
    assert label_studio(["import", str(corrections.folder), str(file), *words]) == 1
    assert "seven: unknown labels, the model has " in capsys.readouterr().err
    assert all(each.state == "waiting" for each in corrections.all())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{}", "not a list of tasks"),
        ("nonsense", "Expecting value"),
        ('[{"image": "data:,", "choice": "7"}]', "task 1 .*not as JSON-MIN"),
        ('[{"data": {"sha256": "../../etc"}, "annotations": []}]', "task 1: .*not the hash"),
        (json.dumps([annotated({"data": {"sha256": IMAGE}}, "7\0")]), "task 1: '7.x00' cannot be"),
        (json.dumps([annotated({"data": {"sha256": IMAGE}}, "x" * 999)]), "task 1: .* cannot be"),
    ],
)
def test_a_file_that_is_no_export_is_refused_by_name(
    text: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "annotated.json"
    file.write_text(text)
    assert label_studio(["import", str(tmp_path), str(file)]) == 1
    error = capsys.readouterr().err
    assert str(file) in error
    assert re.search(complaint, error)
