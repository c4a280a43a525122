"""Sample images of the test set, for clients that have none."""

import base64
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from contract.store import Store
from contract.version import Version
from tests.fixtures import Judged
from tests.support.running import ADMIN, TOKEN, Service
from tests.support.versions import publish

RANDOM = "/v1/samples/random"


def copied(published: tuple[Store, Version], models: Path) -> Store:
    shutil.copytree(published[0].folder, models / "digits")
    return Store(models, "digits")


@contextmanager
def serving(store: Store) -> Iterator[Service]:
    models = store.folder.parent
    with Service.started(models, admin_token=TOKEN, watch_seconds=0, max_pixels=784) as service:
        yield service


@pytest.fixture
def store(published: tuple[Store, Version], tmp_path: Path) -> Store:
    return copied(published, tmp_path / "models")


@pytest.fixture
def own(store: Store) -> Iterator[Service]:
    """A service on a separate store, for tests that damage its version."""
    with serving(store) as service:
        yield service


@pytest.fixture(scope="module")
def growing(published: tuple[Store, Version], tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store for tests that only publish another version."""
    return copied(published, tmp_path_factory.mktemp("growing"))


@pytest.fixture(scope="module")
def switching(growing: Store) -> Iterator[Service]:
    """A service on that store, for tests that activate what they published."""
    with serving(growing) as service:
        yield service


def get(service: Service, path: str = RANDOM, **headers: str) -> Any:
    with service.client(headers=headers) as client:
        return client.get(path)


def pixels_of(file: bytes) -> Any:
    return np.asarray(Image.open(BytesIO(file)))


def file_of(sample: dict[str, Any]) -> bytes:
    head, _, text = sample["image"].partition(",")
    assert head == "data:image/png;base64"
    return base64.b64decode(text)


def activate(service: Service, number: int) -> None:
    with service.client() as client:
        response = client.post(f"/v1/models/digits/versions/{number}/activate", headers=ADMIN)
    assert response.status_code == 200


def test_a_sample_is_a_labelled_image_of_the_test_set(service: Service, judged: Judged) -> None:
    pixels, labels = judged.pixels, judged.labels
    for _ in range(20):
        sample = get(service).json()
        assert sample["model"] == {"name": "digits", "version": "1"}
        assert sample["label"] == str(labels[sample["index"]])
        assert (pixels_of(file_of(sample)) == pixels[sample["index"]]).all()


def test_samples_differ_and_are_not_cached(service: Service) -> None:
    answers = [get(service) for _ in range(20)]
    assert len({answer.json()["index"] for answer in answers}) > 5
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}


@pytest.mark.parametrize(
    "accept",
    [
        "image/png",
        "image/avif,image/png;q=0.9,*/*;q=0.5",
        "image/*",
        "application/json;q=0.5,image/png",
    ],
)
def test_a_client_that_accepts_png_gets_the_image_itself(
    service: Service, judged: Judged, accept: str
) -> None:
    answer = get(service, f"{RANDOM}?label=7", Accept=accept)
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["X-Label"] == "7"
    pixels, labels = judged.pixels, judged.labels
    found = pixels_of(answer.content)
    assert any((found == seven).all() for seven in pixels[:100][labels[:100] == 7])


@pytest.mark.parametrize(
    "accept", ["*/*", "application/json", "application/json, image/png", "image/png;q=0,*/*", ""]
)
def test_other_clients_get_json(service: Service, accept: str) -> None:
    answer = get(service, Accept=accept)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Vary"] == "accept"
    assert "image" in answer.json()


def test_a_label_may_be_requested(service: Service) -> None:
    for label in "0123456789":
        assert get(service, f"{RANDOM}?label={label}").json()["label"] == label


def test_the_error_about_an_unknown_label_lists_the_labels(service: Service) -> None:
    answer = get(service, f"{RANDOM}?label=x")
    assert (answer.status_code, answer.json()["title"]) == (404, "No such sample")
    assert "0, 1, 2" in answer.json()["detail"]


def test_most_samples_are_predicted_as_their_label(service: Service) -> None:
    right = 0
    with service.client(headers={"Accept": "image/png", "Content-Type": "image/png"}) as client:
        for label in "0123456789" * 4:
            picture = client.get(f"{RANDOM}?label={label}").content
            answer = client.post("/v1/predict", content=picture).json()
            right += answer["predictions"][0]["label"] == label
    assert right >= 30


def test_samples_are_those_of_the_serving_version(
    switching: Service, growing: Store, version: Version
) -> None:
    def another(draft: Path) -> None:
        """A sheet of one white image whose label must be escaped in a header."""
        facts = {"side": 28, "columns": 1, "labels": ["ä b"]}
        (draft / "samples.json").write_text(json.dumps(facts))
        Image.fromarray(np.full((28, 28), 255, np.uint8)).save(draft / "samples.png")

    number = publish(growing, version, another)
    activate(switching, 1)
    assert get(switching).json()["model"]["version"] == "1"
    activate(switching, number)
    sample = get(switching).json()
    assert (sample["model"]["version"], sample["label"]) == (str(number), "ä b")
    assert (pixels_of(file_of(sample)) == 255).all()
    assert get(switching, Accept="image/png").headers["X-Label"] == "%C3%A4%20b"


def test_a_sheet_is_read_once(own: Service, store: Store) -> None:
    assert get(own).status_code == 200
    (store.folder / "1/samples.png").unlink()
    assert get(own).status_code == 200


def test_a_sheet_that_does_not_match_the_card_is_rejected(own: Service, store: Store) -> None:
    sheet = store.folder / "1/samples.png"
    content = sheet.read_bytes()
    sheet.write_bytes(content + b"\0")
    answer = get(own)
    assert (answer.status_code, answer.json()["title"]) == (503, "Samples not readable")
    assert "samples.png is not the file that its card describes" in answer.json()["detail"]
    assert str(store.folder.parent) not in answer.text
    sheet.write_bytes(content)
    assert get(own).status_code == 200


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("samples.png", b"no picture"),
        ("samples.json", b"[]"),
        ("samples.json", b'{"columns": 0, "labels": ["7"]}'),
        ("samples.json", b'{"columns": 10, "labels": []}'),
        ("samples.json", json.dumps({"columns": 10, "labels": ["7"] * 101}).encode()),
    ],
)
def test_an_invalid_sheet_is_reported(
    switching: Service, growing: Store, version: Version, name: str, content: bytes
) -> None:
    number = publish(growing, version, lambda draft: (draft / name).write_bytes(content))
    activate(switching, number)
    answer = get(switching)
    assert (answer.status_code, answer.json()["title"]) == (503, "Samples not readable")


def test_a_version_without_samples_is_a_problem(
    switching: Service, growing: Store, version: Version
) -> None:
    number = publish(growing, version, lambda draft: (draft / "samples.png").unlink())
    activate(switching, number)
    answer = get(switching)
    assert (answer.status_code, answer.json()["title"]) == (404, "No samples")
