"""The served model and the versions in the store are public, whatever the state of the store."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.store import Store
from contract.version import Version
from tests.support.running import ADMIN, TOKEN, Service
from tests.support.versions import LETTERS, two_versions


@pytest.fixture
def store(published: tuple[Store, Version], tmp_path: Path) -> Store:
    return two_versions(published, tmp_path)


@pytest.fixture
def own(store: Store) -> Iterator[Service]:
    """A service on that store, for tests that modify it."""
    models = store.folder.parent
    with Service.started(models, admin_token=TOKEN, watch_seconds=0) as service:
        yield service


def get(service: Service, path: str) -> Any:
    with service.client() as client:
        return client.get(path)


def listed(service: Service) -> dict[str, dict[str, Any]]:
    """The versions in the listing by their number."""
    answer = get(service, "/v1/models/digits")
    assert answer.status_code == 200
    return {each["version"]: each for each in answer.json()["versions"]}


def test_models_lists_the_served_model_and_its_versions(service: Service) -> None:
    served = {"name": "digits", "version": "1", "versions": ["1"], "state": "serving"}
    assert get(service, "/v1/models").json() == {"models": [served]}


def test_a_model_has_its_serving_card_and_all_versions(service: Service, version: Version) -> None:
    reported = get(service, "/v1/models/digits").json()
    card = json.loads(version.card.to_json())
    assert reported["card"] == card
    created = reported["versions"][0].pop("created")
    assert created == card["created"]
    assert reported["versions"] == [
        {
            "version": "1",
            "current": True,
            "loaded": "serves",
            "accuracy": card["evaluation"]["accuracy"],
            "data_set": card["data_set"]["name"],
            "test_images": card["data_set"]["test"],
            "verdict": None,
            "compared_with": None,
            "broken": None,
            "damage": None,
        }
    ]
    assert (reported["name"], reported["version"], reported["state"]) == ("digits", "1", "serving")


def test_the_listing_is_updated_by_a_switch(own: Service) -> None:
    assert {number: each["loaded"] for number, each in listed(own).items()} == {
        "2": None,
        "1": "serves",
    }
    with own.client() as client:
        client.post("/v1/models/digits/versions/2/activate", headers=ADMIN)
    now = listed(own)
    assert [*now] == ["2", "1"]
    assert {number: each["loaded"] for number, each in now.items()} == {"2": "serves", "1": "warm"}
    assert (now["2"]["current"], now["1"]["current"]) == (True, False)
    assert get(own, "/v1/models/digits").json()["card"]["labels"] == list(LETTERS)


def test_current_is_read_from_the_store_and_may_differ_from_what_serves(
    own: Service, store: Store
) -> None:
    store.activate(2)
    now = listed(own)
    assert (now["2"]["current"], now["2"]["loaded"]) == (True, None)
    (store.folder / "current").write_text("nonsense")
    assert not any(each["current"] for each in listed(own).values())


def test_a_damaged_version_is_listed_with_its_error(own: Service, store: Store) -> None:
    assert listed(own)["2"]["broken"] is None
    (store.folder / "2/card.json").write_text('{"schema_version": 1}')
    (store.folder / "3").mkdir()
    answer = get(own, "/v1/models/digits")
    wrong = {each["version"]: each["broken"] for each in answer.json()["versions"]}
    assert "schema_version is 1, older than" in wrong["2"]
    assert "card.json cannot be read" in wrong["3"]
    assert wrong["1"] is None
    assert str(store.folder.parent) not in answer.text
    for number in (2, 3):
        alone = get(own, f"/v1/models/digits/versions/{number}")
        assert alone.status_code == 409
        assert alone.json()["title"] == "Broken version"
        assert str(store.folder.parent) not in alone.text


def test_a_replaced_card_is_read_again(own: Service, store: Store) -> None:
    before = listed(own)["2"]["accuracy"]
    path = store.folder / "2/card.json"
    card = json.loads(path.read_text())
    card["evaluation"]["accuracy"] = 0.125
    path.write_text(json.dumps(card))
    assert before != 0.125
    assert listed(own)["2"]["accuracy"] == 0.125


def test_a_version_without_a_threshold_is_listed_and_serves(own: Service, store: Store) -> None:
    path = store.folder / "2/card.json"
    card = json.loads(path.read_text())
    del card["acceptance"]
    path.write_text(json.dumps(card | {"schema_version": 2}))
    assert listed(own)["2"]["broken"] is None
    reported = get(own, "/v1/models/digits/versions/2").json()["card"]
    assert (reported["schema_version"], reported["acceptance"]) == (2, None)
    with own.client() as client:
        assert client.post("/v1/models/digits/versions/2/activate", headers=ADMIN).is_success


def test_the_listing_has_the_newest_versions_and_the_total(own: Service, store: Store) -> None:
    for number in range(3, 151):  # the largest number in a listing
        (store.folder / str(number)).mkdir()
        shutil.copy(store.folder / "2/card.json", store.folder / str(number))
    reported = get(own, "/v1/models/digits").json()
    assert (reported["count"], len(reported["versions"])) == (150, 100)
    assert [each["version"] for each in reported["versions"][:2]] == ["150", "149"]
    assert len(get(own, "/v1/models/digits?limit=1000").json()["versions"]) == 150
    assert len(get(own, "/v1/models/digits?limit=1").json()["versions"]) == 1
    assert len(get(own, "/v1/models").json()["models"][0]["versions"]) == 150


@pytest.mark.parametrize("limit", ["0", "1001", "many"])
def test_the_error_about_a_limit_out_of_bounds_names_it(service: Service, limit: str) -> None:
    answer = get(service, f"/v1/models/digits?limit={limit}")
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"].startswith("limit: must be a")
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]


def test_the_card_of_any_version_can_be_read(own: Service, store: Store) -> None:
    reported = get(own, "/v1/models/digits/versions/2").json()
    assert (reported["name"], reported["version"]) == ("digits", "2")
    assert (reported["current"], reported["loaded"]) == (False, None)
    assert reported["card"] == json.loads(store.card(2).to_json())


def test_a_card_reveals_no_paths_of_the_machine_that_made_it(own: Service, store: Store) -> None:
    path = store.folder / "2/card.json"
    card = json.loads(path.read_text())
    card["data_set"]["source"] = "/home/somebody/pictures/mine"
    card["recipe"]["pretrained"] = "/home/somebody/weights.pt"
    path.write_text(json.dumps(card))
    answer = get(own, "/v1/models/digits/versions/2")
    assert "somebody" not in answer.text
    assert answer.json()["card"]["data_set"]["source"] == "mine"
    assert answer.json()["card"]["recipe"]["pretrained"] == "weights.pt"


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("letters", "No such model"),
        ("letters/versions/1", "No such model"),
        ("digits/versions/7", "No such version"),
        ("digits/versions/0", "No such version"),
        ("digits/versions/current", "No such version"),
        ("digits/versions/..%2F1", "No such route"),
    ],
)
def test_an_unknown_model_or_version_is_a_problem(
    service: Service, published: tuple[Store, Version], path: str, title: str
) -> None:
    answer = get(service, f"/v1/models/{path}")
    assert (answer.status_code, answer.json()["title"]) == (404, title)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert str(published[0].folder.parent) not in answer.text


def test_an_unreadable_store_is_reported_while_predictions_continue(
    own: Service, store: Store
) -> None:
    moved = store.folder.rename(store.folder.with_name("moved"))
    store.folder.write_text("a file")
    for path in ("/v1/models", "/v1/models/digits"):
        answer = get(own, path)
        assert (answer.status_code, answer.json()["title"]) == (503, "Store not readable")
        assert answer.headers["Retry-After"] == "1"
        assert str(store.folder.parent) not in answer.text
    with own.client(headers={"Content-Type": "image/png"}) as client:
        picture = (moved / "1/sample.png").read_bytes()
        assert client.post("/v1/predict", content=picture).status_code == 200


def test_the_openapi_document_describes_responses_and_errors(service: Service) -> None:
    document = get(service, "/openapi.json").json()
    assert "HTTPValidationError" not in json.dumps(document)
    paths = document["paths"]
    for path in ("/v1/models", "/v1/models/{name}", "/v1/models/{name}/versions/{version}"):
        answers = paths[path]["get"]["responses"]
        refused = {status: each for status, each in answers.items() if status != "200"}
        assert "503" in refused
        assert all([*each["content"]] == ["application/problem+json"] for each in refused.values())
    assert {*paths["/v1/models/{name}"]["get"]["responses"]} >= {"200", "400", "404", "503"}
