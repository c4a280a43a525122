"""A card is complete and well-typed; errors name the invalid field."""

import json
from typing import Any

import pytest

from contract.card import BadCard, DigitPreparation, ModelCard, PhotoPreparation
from contract.version import Version


@pytest.fixture
def facts(version: Version) -> dict[str, Any]:
    card: dict[str, Any] = json.loads(version.card.to_json())
    return card | {"schema_version": 6}


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
        ({"schema_version": "2"}, "schema_version: Input should be 2, 3, 4, 5 or 6"),
        ({"schema_version": 7}, "schema_version is 7, newer than 6, .*: update digitserve"),
        ({"schema_version": 1}, "schema_version is 1, older than 2, .*: export the run again"),
        ({"files": {"../passwd": {"sha256": "0" * 64, "size": 1}}}, r"files.*passwd"),
        ({"files": {"a": {"sha256": "short", "size": 1}}}, r"files\.a\.sha256"),
        ({"labels": ["0", "1"]}, "input and outputs must be"),
        ({"labels": ["cat", "dog", "cat"]}, "two classes have the label 'cat'"),
        ({"labels": ["cat", ""]}, r"labels\.1: String should have at least 1 character"),
        ({"labels": ["cat", "d" * 257]}, r"labels\.1: String should have at most 256"),
        ({"labels": ["cat", "dog\n"]}, r"labels\.1: String should match pattern"),
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
        "equal labels",
        "empty label",
        "long label",
        "label of two lines",
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


_SINCE_6 = ("non_digits",)
_SINCE_5 = ("job", "gate", "inputs", *_SINCE_6)
_SINCE_4 = ("preparation", "imported", *_SINCE_5)
LATER = {2: ("acceptance", *_SINCE_4), 3: _SINCE_4, 4: _SINCE_5, 5: _SINCE_6, 6: ()}


@pytest.mark.parametrize("schema", LATER)
def test_cards_of_all_schemas_since_2_are_read(facts: dict[str, Any], schema: int) -> None:
    facts = {name: fact for name, fact in facts.items() if name not in LATER[schema]}
    card = ModelCard.from_json(json.dumps(facts | {"schema_version": schema}))
    assert card.schema_version == schema
    assert (card.acceptance, card.preparation, card.imported) == (None, DigitPreparation(), None)
    assert (card.job, card.gate, card.non_digits) == (None, None, None)
    assert (card.inputs is None) == (schema < 5)
    assert ModelCard.from_json(card.to_json()) == card


PHOTO = {"kind": "photo", "resize": 256, "size": [224, 192], "interpolation": "bilinear"}


def test_a_card_describes_any_input(facts: dict[str, Any]) -> None:
    facts["input"]["shape"] = ["n", 224, 192, 3]
    card = ModelCard.from_json(json.dumps(facts | {"preparation": PHOTO}))
    assert card.shape == (224, 192, 3)
    assert card.preparation == PhotoPreparation(resize=256, size=(224, 192))
    assert card.are_digits
    with pytest.raises(BadCard, match="its preparation makes images of"):
        ModelCard.from_json(json.dumps(facts))  # that of digits
    with pytest.raises(BadCard, match="resize is 200, less than 224"):
        ModelCard.from_json(json.dumps(facts | {"preparation": PHOTO | {"resize": 200}}))


def test_an_imported_version_may_lack_what_nobody_knows(facts: dict[str, Any]) -> None:
    imported = {
        "file": "resnet.onnx", "sha256": "0" * 64, "format": "onnx",
        "proven": ["The graph answers as the original."], "unknown": ["Its accuracy."],
    }  # fmt: skip
    unknown = dict.fromkeys(["run", "data_set", "evaluation", "acceptance"])
    card = ModelCard.from_json(json.dumps(facts | unknown | {"imported": imported}))
    assert card.imported is not None
    assert card.imported.unknown == ("Its accuracy.",)
    with pytest.raises(BadCard, match="of a run or imported"):
        ModelCard.from_json(json.dumps(facts | unknown))
    with pytest.raises(BadCard, match="a version of a run has a data set"):
        ModelCard.from_json(json.dumps(facts | {"data_set": None}))


def test_a_histogram_has_a_share_for_each_bin(facts: dict[str, Any]) -> None:
    ink = {"edges": [0.1, 0.2], "shares": [0.25, 0.5, 0.25]}
    card = ModelCard.from_json(json.dumps(facts | {"inputs": {"ink": ink}}))
    assert card.inputs is not None
    assert card.inputs["ink"].shares == (0.25, 0.5, 0.25)
    for wrong in ({"shares": [0.5, 0.5]}, {"edges": [0.2, 0.1]}):
        with pytest.raises(BadCard, match=r"inputs\.ink: .*ascending edges"):
            ModelCard.from_json(json.dumps(facts | {"inputs": {"ink": ink | wrong}}))
    many = {"edges": [*range(101)], "shares": [0.0] * 102}
    with pytest.raises(BadCard, match=r"inputs\.ink\.edges: .* at most 100 items"):
        ModelCard.from_json(json.dumps(facts | {"inputs": {"ink": many}}))


@pytest.mark.parametrize("text", ["", "{", "[]", "null"], ids=["empty", "cut", "list", "null"])
def test_text_that_is_not_a_card_is_rejected(text: str) -> None:
    with pytest.raises(BadCard):
        ModelCard.from_json(text)


def test_the_schema_version_is_checked_before_unknown_fields(
    facts: dict[str, Any],
) -> None:
    with pytest.raises(BadCard) as refused:
        ModelCard.from_json(json.dumps(facts | {"schema_version": 7, "colour": "blue"}))
    assert "colour" not in str(refused.value)


def test_an_error_names_some_of_very_many_wrong_fields(version: Version) -> None:
    card = json.loads(version.card.to_json())
    wrong = {f"unknown{index}": 1 for index in range(150)}
    with pytest.raises(BadCard, match=r"unknown0: .*; and 1\d\d more$") as error:
        ModelCard.from_json(json.dumps(card | wrong))
    assert len(str(error.value)) < 10_000


def test_a_card_of_very_many_values_is_rejected_before_they_are_validated(
    facts: dict[str, Any],
) -> None:
    files = {f"/{index}": 0 for index in range(2000)}
    with pytest.raises(BadCard, match=r"^an object has 2000 fields, more than 200$"):
        ModelCard.from_json(json.dumps(facts | {"files": files}))
    with pytest.raises(BadCard, match=r"^it has more than 1,000,000 values$"):
        ModelCard.from_json(json.dumps(facts | {"labels": [0] * 1_000_002}))


def test_a_card_that_is_nested_too_deeply_is_rejected(facts: dict[str, Any]) -> None:
    text = json.dumps(facts)[:-1] + ', "network": ' + "[" * 100_000
    with pytest.raises(BadCard, match="recursion limit exceeded"):
        ModelCard.from_json(text)


def test_of_very_many_wrong_labels_the_first_one_is_named(version: Version) -> None:
    card = json.loads(version.card.to_json())
    with pytest.raises(BadCard, match=r"^labels\.0: Input should be a valid string; ") as error:
        ModelCard.from_json(json.dumps(card | {"labels": [1] * 2000}))
    assert "labels.1: " not in str(error.value)
