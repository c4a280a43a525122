"""The files of a version that are meant for people are served if they match the card."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from contract.store import Store
from contract.version import Version
from tests.support.problems import problem
from tests.support.running import Service
from tests.support.versions import publish, two_versions


@pytest.fixture
def store(published: tuple[Store, Version], tmp_path: Path) -> Store:
    return two_versions(published, tmp_path)


@pytest.fixture
def own(store: Store) -> Iterator[Service]:
    """A service on a separate store, for tests that modify it."""
    with Service.started(store.folder.parent, watch_seconds=0) as service:
        yield service


def get(service: Service, file: str, version: object = 1, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with service.client(headers=named) as client:
        return client.get(f"/v1/models/digits/versions/{version}/files/{file}")


def test_every_image_and_document_on_the_card_is_served(service: Service, version: Version) -> None:
    names = [name for name in version.card.files if name.endswith((".png", ".json"))]
    assert {"mistakes.json", "mistakes.png", "training_metrics.json", "samples.json"} <= {*names}
    for name in names:
        answer = get(service, name)
        kind = "image/png" if name.endswith(".png") else "application/json"
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind)
        assert answer.headers["ETag"] == f'"{version.card.files[name].sha256}"'
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.content == (version.folder / name).read_bytes()


def test_files_of_a_version_that_does_not_serve_are_available_too(
    own: Service, store: Store
) -> None:
    content = (store.folder / "2/samples.png").read_bytes()
    assert get(own, "samples.png", 2).content == content


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_an_unmodified_file_is_304(service: Service, form: str) -> None:
    tag = get(service, "samples.png").headers["ETag"]
    answer = get(service, "samples.png", If_None_Match=form.format(tag))
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["ETag"] == tag
    assert answer.headers["Cache-Control"] == "no-cache"


def test_a_modified_file_is_sent(service: Service) -> None:
    tag = get(service, "samples.json").headers["ETag"]
    assert get(service, "samples.png", If_None_Match=tag).status_code == 200


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz", "card.json", "nothing.png", "%00"])
def test_other_files_are_404_with_a_list_of_the_available_ones(service: Service, name: str) -> None:
    refusal = problem(get(service, name), 404)
    assert refusal["title"] == "No such file"
    assert "training_metrics.json" in refusal["detail"]
    assert "model.onnx;" not in refusal["detail"].partition("there are")[2]


@pytest.mark.parametrize(
    "path",
    [
        "..%2F..%2F1%2Fsamples.png",
        "..%2Fsamples.png",
        "%2Fetc%2Fpasswd",
        "..%5Csamples.png",
        "%2e%2e",
    ],
)
def test_no_path_leads_out_of_the_version(service: Service, path: str) -> None:
    assert problem(get(service, path), 404)


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("letters/versions/1", "No such model"),
        ("digits/versions/7", "No such version"),
        ("digits/versions/01", "No such version"),
    ],
)
def test_an_unknown_model_or_version_is_404(service: Service, path: str, title: str) -> None:
    with service.client() as client:
        answer = client.get(f"/v1/models/{path}/files/samples.png")
    assert problem(answer, 404)["title"] == title


@pytest.mark.parametrize("damage", ["another", "cut", "gone", "linked"])
def test_a_damaged_file_is_409_even_for_clients_that_have_it(
    own: Service, store: Store, damage: str
) -> None:
    path = store.folder / "2/samples.png"
    tag = get(own, "samples.png", 2).headers["ETag"]
    content = path.read_bytes()
    path.unlink()
    if damage == "another":
        path.write_bytes(content[:-1] + b"x")
    elif damage == "cut":
        path.write_bytes(content[:-1])
    elif damage == "linked":
        path.symlink_to(store.folder / "1/golden.npz")
    refusal = problem(get(own, "samples.png", 2, If_None_Match=tag), 409)
    assert refusal["title"] == "Broken version"
    assert "2/samples.png" in refusal["detail"]
    assert str(store.folder.parent) not in refusal["detail"]
    assert get(own, "samples.json", 2).status_code == 200


def with_metrics(store: Store, version: Version, text: str) -> int:
    def change(draft: Path) -> None:
        (draft / "training_metrics.json").write_text(text)

    return publish(store, version, change)


def test_metrics_reveal_no_paths_of_the_machine_that_made_them(
    own: Service, store: Store, version: Version
) -> None:
    metrics: dict[str, Any] = json.loads(version.read("training_metrics.json"))
    metrics["data_set"]["source"] = "/home/somebody/pictures/mine"
    metrics["recipe"]["pretrained"] = "/home/somebody/weights.pt"
    number = with_metrics(store, version, json.dumps(metrics))
    answer = get(own, "training_metrics.json", number)
    assert "somebody" not in answer.text
    metrics["data_set"]["source"] = "mine"
    metrics["recipe"]["pretrained"] = "weights.pt"
    assert answer.json() == metrics
    assert answer.headers["ETag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'


def test_metrics_that_are_not_json_are_409(own: Service, store: Store, version: Version) -> None:
    number = with_metrics(store, version, "{half")
    refusal = problem(get(own, "training_metrics.json", number), 409)
    assert f"{number}/training_metrics.json is no JSON" in refusal["detail"]


def test_with_api_keys_files_need_one_too(published: tuple[Store, Version]) -> None:
    key = "a-key-for-files-and-cards"
    with Service.started(published[0].folder.parent, api_keys=key) as service:
        assert problem(get(service, "samples.png"), 401)
        assert get(service, "samples.png", X_API_Key=key).status_code == 200
