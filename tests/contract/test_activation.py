"""A version that is known to be worse than the current one becomes current only by force."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract.__main__ import main
from contract.card import Check, Gate, Imported
from contract.store import Store
from contract.version import Version
from tests.support.versions import LETTERS

IMAGES = 10_000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models", "digits")


@pytest.fixture
def publish(store: Store, version: Version) -> Callable[..., int]:
    """Publishes a version with this accuracy on 10,000 images of mnist, and these fields."""

    def publish(accuracy: float, **fields: object) -> int:
        card = version.card
        assert card.evaluation is not None
        assert card.data_set is not None
        measured = {
            "evaluation": card.evaluation.model_copy(update={"accuracy": accuracy}),
            "data_set": card.data_set.model_copy(update={"name": "mnist", "test": IMAGES}),
        }
        with store.draft() as draft:
            shutil.copy(version.folder / "model.onnx", draft)
            return store.publish(draft, card.model_copy(update=measured | fields)).number

    return publish


@pytest.fixture
def command(store: Store, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs `python -m contract --json` and returns what it prints."""

    def run(words: str, code: int = 0) -> Any:
        name, *others = words.split()
        arguments = ["--models", str(store.folder.parent), "--name", "digits", "--json"]
        capsys.readouterr()
        assert main([name, *arguments, *others]) == code
        return json.loads(capsys.readouterr().out)

    return run


def judged(verdict: str, *failed: str, parent: int = 1) -> Gate:
    """A gate with these failed checks, or one that passed."""
    names = failed or ("accuracy",)
    checks = [
        Check(name=name, passed=not failed, candidate=0.9, current=0.99, reason=f"why {name}.")
        for name in names
    ]
    numbers = {"images": IMAGES, "gained": 3, "lost": 2, "p_value": 1.0}
    return Gate.model_validate(
        {"parent": parent, "verdict": verdict, "checks": tuple(checks), **numbers}
    )


Publish = Callable[..., int]
Run = Callable[..., Any]


def test_a_less_accurate_version_is_refused_with_both_accuracies(
    store: Store, publish: Publish, command: Run
) -> None:
    store.activate(publish(0.9961))
    publish(0.9694)
    error = command("activate 2", code=1)["error"]
    assert "version 2 is 96.94% of 10,000 test images of mnist" in error
    assert "version 1, the current one, is 99.61% of 10,000 test images of mnist" in error
    assert "--force" in error
    assert store.current() == 1
    forced = command("activate 2 --force")
    assert (forced["from"], forced["to"]) == (1, 2)
    assert "96.94%" in forced["warnings"][0]


def test_a_difference_by_chance_is_no_reason(store: Store, publish: Publish, command: Run) -> None:
    store.activate(publish(0.9961))
    publish(0.9950)
    assert command("activate 2")["warnings"] == []


def test_a_version_that_was_judged_worse_is_refused_with_each_failed_check(
    store: Store, publish: Publish, command: Run
) -> None:
    store.activate(publish(0.9961))
    publish(0.9961, gate=judged("worse", "recall of 7", "corruptions"))
    error = command("activate 2", code=1)["error"]
    assert "recall of 7: why recall of 7." in error
    assert "corruptions: why corruptions." in error
    assert command("activate 2 --force")["to"] == 2


def test_the_gate_counts_more_than_the_accuracies(
    store: Store, publish: Publish, command: Run
) -> None:
    """It compared the two versions on the same images, corrections among them."""
    store.activate(publish(0.9961))
    publish(0.9930, gate=judged("better"))
    assert command("activate 2")["warnings"] == []


def test_other_test_images_are_a_warning_even_if_the_gate_passed(
    store: Store, publish: Publish, command: Run, version: Version
) -> None:
    store.activate(publish(0.9961))
    publish(0.93, data_set=version.card.data_set, gate=judged("better"))
    (warning,) = command("activate 2")["warnings"]
    assert "version 2 is 93.00% of 200 test images of drawn" in warning


def test_a_gate_with_another_version_does_not_replace_the_comparison(
    store: Store, publish: Publish, command: Run
) -> None:
    publish(0.90)
    store.activate(publish(0.9961))
    publish(0.95, gate=judged("better", parent=1))
    assert "95.00%" in command("activate 3", code=1)["error"]


def test_a_rollback_is_never_refused(store: Store, publish: Publish, command: Run) -> None:
    for accuracy in (0.9694, 0.9961):
        store.activate(publish(accuracy, gate=judged("worse", "accuracy")))
    assert command("rollback")["to"] == 1


def test_an_unknown_accuracy_is_a_warning(store: Store, publish: Publish, command: Run) -> None:
    store.activate(publish(0.9961))
    imported = Imported(
        file="model.onnx", sha256="0" * 64, format="onnx", proven=("It loads.",), unknown=()
    )
    publish(0.9, run=None, imported=imported, evaluation=None, data_set=None)
    (warning,) = command("activate 2")["warnings"]
    assert warning == "The accuracy of version 2 is unknown: not compared."


def test_other_test_images_are_a_warning(
    store: Store, publish: Publish, command: Run, version: Version
) -> None:
    store.activate(publish(0.9961))
    publish(0.9950, data_set=version.card.data_set)
    (warning,) = command("activate 2")["warnings"]
    assert "different images" in warning
    assert "version 2 is 99.50% of 200 test images of drawn" in warning


def test_a_lower_accuracy_on_other_test_images_is_refused(
    store: Store, publish: Publish, command: Run, version: Version
) -> None:
    store.activate(publish(0.9961))
    publish(0.94, data_set=version.card.data_set)
    assert "94.00% of 200 test images of drawn" in command("activate 2", code=1)["error"]


def test_other_labels_are_a_warning(store: Store, publish: Publish, command: Run) -> None:
    store.activate(publish(0.9961))
    publish(0.5, labels=LETTERS)
    (warning,) = command("activate 2")["warnings"]
    assert warning == "Versions 2 and 1 have different labels: not compared."


def test_the_first_version_is_compared_with_nothing(publish: Publish, command: Run) -> None:
    publish(0.5)
    assert command("activate 1") == {"from": None, "to": 1, "changed": True, "warnings": []}


def test_the_verdict_is_listed_and_shown(
    store: Store, publish: Publish, command: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    store.activate(publish(0.9961))
    publish(0.9961, gate=judged("worse", "recall of 7"))
    assert [each["verdict"] for each in command("list")] == [None, "worse"]
    differing = command("diff 1 2")["differing"]
    assert differing["gate.checks.recall of 7.passed"] == [None, False]
    models = ["--models", str(store.folder.parent)]
    main(["list", *models])
    main(["show", *models, "2"])
    printed = capsys.readouterr().out
    assert "worse than 1" in printed
    assert "Judged worse than 1: 3 images gained, 2 lost of 10,000" in printed
    assert "why recall of 7." in printed
