"""`python -m contract` prints tables, or JSON for programs, and sets the exit code."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contract import signature
from contract.__main__ import main
from contract.card import ModelCard
from contract.store import Store
from contract.version import Version
from tests.support.classifiers import publish_classifier
from tests.support.running import ROOT


@pytest.fixture
def models(tmp_path: Path, version: Version) -> Path:
    """Versions 1 and 2 differ only in accuracy; 2 is current, and 1 was current before it."""
    store = Store(tmp_path / "models", "digits")
    judged = version.card.evaluation
    assert judged is not None
    for accuracy in (judged.accuracy, 0.5):
        evaluation = judged.model_copy(update={"accuracy": accuracy})
        with store.draft() as draft:
            shutil.copy(version.folder / "model.onnx", draft)
            card = version.card.model_copy(update={"evaluation": evaluation})
            store.activate(store.publish(draft, card).number)
    return tmp_path / "models"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("DIGITSERVE_")]:
        monkeypatch.delenv(name)


class Command:
    def __init__(self, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._models = models
        self._capsys = capsys

    def __call__(self, words: str, code: int = 0) -> str:
        """What the command prints; its exit code must be `code`."""
        name, *others = words.split()
        self._capsys.readouterr()
        assert main([name, "--models", str(self._models), *others]) == code
        printed = self._capsys.readouterr()
        return printed.err if code and not printed.out else printed.out

    def json(self, words: str, code: int = 0) -> Any:
        return json.loads(self(f"{words} --json", code))


@pytest.fixture
def contract(models: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(models, capsys)


def test_list_shows_every_version_and_marks_the_current_one(contract: Command) -> None:
    first, second = contract.json("list")
    assert (first["version"], first["current"], second["current"]) == (1, False, True)
    assert second["accuracy"] == 0.5
    assert "50.00%" in contract("list").splitlines()[2]


def test_list_includes_a_broken_version(contract: Command, models: Path) -> None:
    (models / "digits/1/card.json").write_text("{}")
    first, second = contract.json("list")
    assert "card.json is not a model card" in first["broken"]
    assert second["version"] == 2
    assert "broken: " in contract("list")


def test_list_of_an_empty_store_is_empty(contract: Command, models: Path) -> None:
    assert contract.json("list --name other") == []
    assert "holds no version: other models in that store: digits. Name one of them with" in (
        contract("list --name other")
    )


def test_show_prints_the_card(contract: Command, models: Path) -> None:
    shown = contract.json("show current")
    assert (shown["version"], shown["current"], shown["signature"]) == (2, True, "")
    assert ModelCard.model_validate_json(json.dumps(shown["card"])) == (
        Store(models, "digits").card(2)
    )
    table = contract("show 2")
    assert "(current)" in table
    assert re.search(r"acceptance +No threshold: ", table)
    assert "model.fp16.onnx" in table


def test_show_does_not_speak_of_digits_where_labels_are_others(
    contract: Command, models: Path, version: Version
) -> None:
    assert "non-digits" in contract("show 2")
    labels = tuple(f"kind {number}" for number in range(20_000))
    publish_classifier(Store(models, "kinds"), version, labels=labels)
    table = contract("show 1 --name kinds")
    assert "digit" not in table.replace(str(models), "")
    assert re.search(r"kind 99 and\s+19,900 more", table)


def test_verify_hashes_every_file_and_fails_on_a_mismatch(contract: Command, models: Path) -> None:
    assert contract.json("verify 2")["ok"] is True
    (models / "digits/2/model.onnx").write_bytes(b"other")
    (models / "digits/2/stray").write_bytes(b"")
    found = contract.json("verify 2", code=1)
    assert found["ok"] is False
    assert "not the file that its card describes" in found["files"]["model.onnx"]
    assert "not on the card" in found["files"]["stray"]
    assert "2 of 2 files are wrong" in contract("verify 2", code=1)


def test_verify_rejects_a_version_of_another_model(contract: Command, models: Path) -> None:
    shutil.copytree(models / "digits", models / "letters")
    found = contract.json("verify 1 --name letters", code=1)
    assert "is of a model named 'digits'" in found["files"]["card.json"]


def test_activate_rollback_and_history_show_both_versions(contract: Command) -> None:
    assert contract.json("rollback") == {"from": 2, "to": 1, "changed": True}
    assert "digits: 1 -> 2" in contract("activate 2 --force")
    assert contract.json("activate 2")["changed"] is False
    assert [(each["action"], each["to"]) for each in contract.json("history")] == [
        ("activate", 1), ("activate", 2), ("rollback", 1), ("activate", 2),
    ]  # fmt: skip
    assert len(contract("history").splitlines()) == 5


def test_prune_prints_removed_and_kept_versions(contract: Command, models: Path) -> None:
    for _ in range(3):
        shutil.copytree(models / "digits/2", models / f"digits/{len(contract.json('list')) + 1}")
    assert contract.json("prune --keep 1 --dry-run")["removed"] == [3, 4]
    assert contract("prune --keep 1").strip() == "removed: 3, 4; left: 1, 2, 5"
    assert [each["version"] for each in contract.json("list")] == [1, 2, 5]


def test_diff_compares_accuracy_and_lists_the_differing_fields(
    contract: Command, version: Version
) -> None:
    differing = contract.json("diff 1 2")
    assert version.card.evaluation is not None
    accuracy = version.card.evaluation.accuracy
    assert differing["accuracy"] == [accuracy, 0.5]
    assert "recipe.epochs" not in differing["differing"]
    points = (0.5 - accuracy) * 100
    assert f"{points:+.2f} points" in contract("diff 1 2")
    before, after = differing["differing"]["evaluation.accuracy"]
    assert (before, after) == (accuracy, 0.5)
    assert contract.json("diff 1 1")["differing"] == {}


def test_diff_gives_the_dotted_names_of_differing_fields(contract: Command, models: Path) -> None:
    path = models / "digits/2/card.json"
    card = ModelCard.from_json(path.read_bytes())
    path.write_text(card.model_copy(update={"recipe": {**card.recipe, "epochs": 9}}).to_json())
    assert contract.json("diff 1 2")["differing"]["recipe.epochs"] == [
        card.recipe["epochs"],
        9,
    ]


@pytest.mark.parametrize(
    "words", ["show 7", "verify 7", "activate 7", "diff 1 7", "rollback --name other"]
)
def test_a_missing_version_exits_with_1_as_text_and_as_json(contract: Command, words: str) -> None:
    assert "contract: " in contract(words, code=1)
    assert contract.json(words, code=1)["error"]


@pytest.mark.parametrize(
    "words", [["show", "0"], ["show", "x"], ["prune"], ["prune", "--keep", "0"], [], ["nonsense"]]
)
def test_invalid_arguments_exit_with_2(words: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(words)
    assert refused.value.code == 2


def test_keygen_writes_a_key_and_prints_the_setting_that_trusts_it(
    contract: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "key.pem"
    assert main(["keygen", str(key)]) == 0
    assert f"DIGITSERVE_TRUSTED_KEYS={signature.public_key(key)}" in capsys.readouterr().out
    assert main(["keygen", str(key)]) == 1
    assert "keys are not replaced" in capsys.readouterr().err


def test_the_command_checks_signatures_against_the_trusted_keys(
    contract: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITSERVE_TRUSTED_KEYS", signature.generate(tmp_path / "key.pem"))
    assert "is not signed" in contract("activate 1", code=1)
    found = contract.json("verify 1", code=1)
    assert "is not signed" in found["files"]["card.json.sig"]


@pytest.mark.parametrize("keys", ["", " , "])
def test_an_empty_list_of_trusted_keys_does_not_disable_the_check(
    contract: Command, keys: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITSERVE_TRUSTED_KEYS", keys)
    assert "DIGITSERVE_TRUSTED_KEYS is set and holds no key" in contract("activate 1", code=1)


def test_schema_prints_the_json_schema_of_cards(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert {*schema["required"]} == {*ModelCard.model_fields}
    assert schema["properties"]["schema_version"]["enum"] == [2, 3, 4, 5, 6]
    assert schema["additionalProperties"] is False


def test_the_command_runs_in_a_shell(models: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "contract", "list"],
        cwd=ROOT,
        env={**os.environ, "DIGITSERVE_MODELS": str(models)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "*" in done.stdout
