"""A card is complete and well-typed; errors name the invalid field."""

import json
from typing import Any

import pytest

from contract.card import BadCard, ModelCard
from contract.version import Version


@pytest.fixture
def facts(version: Version) -> dict[str, Any]:
    card: dict[str, Any] = json.loads(version.card.to_json())
    return card


def test_a_card_survives_a_round_trip_through_json(version: Version) -> None:
    assert ModelCard.from_json(version.card.to_json()) == version.card


def test_a_card_describes_what_users_of_the_model_need(facts: dict[str, Any]) -> None:
    assert facts["labels"] == list("0123456789")
    assert facts["input"] == {"name": "pixels", "dtype": "uint8", "shape": ["n", 28, 28]}
    assert [output["name"] for output in facts["outputs"]] == ["logits", "probabilities"]
    assert facts["data_set"]["name"] == "drawn"
    assert facts["data_set"]["train"] + facts["data_set"]["validation"] == 1000
    assert facts["data_set"]["test"] == 200
    assert facts["recipe"]["epochs"] == 5
    assert isinstance(facts["recipe"]["epochs"], int)
    graphs = {"model.onnx", "model.fp16.onnx", "model.int8.onnx", "model.ts", "model.pt2"}
    assert {*facts["parity"]} | {*facts["left_out"]} == graphs
    assert {*facts["parity"]} <= {*facts["files"]}
    assert {"golden.npz", "sample.png", "samples.png", "samples.json"} <= {*facts["files"]}
    assert {"training_metrics.json", "confusion_matrix.png"} <= {*facts["files"]}
    assert facts["opset"] == 18
    assert {"torch", "onnx", "onnxruntime", "python"} <= set(facts["libraries"])
    assert len(facts["evaluation"]["per_class"]) == 10


@pytest.mark.parametrize("name", ModelCard.model_fields)
def test_the_error_names_any_missing_field(facts: dict[str, Any], name: str) -> None:
    del facts[name]
    with pytest.raises(BadCard, match=f"{name}: Field required"):
        ModelCard.from_json(json.dumps(facts))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "blue"}, "colour: Extra inputs are not permitted"),
        ({"parameters": "many"}, "parameters: Input should be a valid integer"),
        ({"temperature": 0}, "temperature: Input should be greater than 0"),
        ({"schema_version": "2"}, "schema_version: Input should be 2 or 3"),
        ({"schema_version": 4}, "schema_version is 4, newer than 3, .*: update digitserve"),
        ({"schema_version": 1}, "schema_version is 1, older than 2, .*: export the run again"),
        ({"files": {"../passwd": {"sha256": "0" * 64, "size": 1}}}, r"files.*passwd"),
        ({"files": {"a": {"sha256": "short", "size": 1}}}, r"files\.a\.sha256"),
        ({"labels": ["0", "1"]}, "input and outputs must be"),
    ],
    ids=[
        "unknown",
        "ill-typed",
        "out of bounds",
        "schema in words",
        "newer schema",
        "older schema",
        "path",
        "hash",
        "labels",
    ],
)
def test_the_error_names_an_invalid_field(
    facts: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadCard, match=message):
        ModelCard.from_json(json.dumps(facts | change))


def test_the_error_names_all_invalid_fields(facts: dict[str, Any]) -> None:
    with pytest.raises(BadCard, match=r"(?s)name: .*run: "):
        ModelCard.from_json(json.dumps(facts | {"name": 1, "run": 2}))


def test_a_card_of_schema_2_is_read_without_a_threshold(facts: dict[str, Any]) -> None:
    facts = {name: fact for name, fact in facts.items() if name != "acceptance"}
    card = ModelCard.from_json(json.dumps(facts | {"schema_version": 2}))
    assert (card.schema_version, card.acceptance) == (2, None)
    assert ModelCard.from_json(card.to_json()) == card


@pytest.mark.parametrize("text", ["", "{", "[]", "null"], ids=["empty", "cut", "list", "null"])
def test_text_that_is_not_a_card_is_rejected(text: str) -> None:
    with pytest.raises(BadCard):
        ModelCard.from_json(text)


def test_the_schema_version_is_checked_before_unknown_fields(
    facts: dict[str, Any],
) -> None:
    with pytest.raises(BadCard) as refused:
        ModelCard.from_json(json.dumps(facts | {"schema_version": 4, "colour": "blue"}))
    assert "colour" not in str(refused.value)
