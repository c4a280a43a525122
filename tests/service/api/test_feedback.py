"""Corrections: POST /v1/feedback, their bounds, and their review."""

import os
import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from contract.card import Acceptance
from contract.store import Store
from contract.version import Version
from preprocessing.decoder import decode
from preprocessing.digits.normalize import normalize_digit
from tests.fixtures import Judged
from tests.support.classifiers import publish_and_activate
from tests.support.forms import MULTIPART, part
from tests.support.marks import needs_mounts
from tests.support.metrics import counted, metric
from tests.support.pictures import SEVEN, encoded, seven
from tests.support.problems import problem
from tests.support.running import ADMIN, TOKEN, Service, wait_to_read, wait_until
from tests.support.versions import publish

SMALL_DISK = "/mnt"
IMAGE_KIND = {"Content-Type": "image/png"}


def started(models: Path, folder: Path, **settings: object) -> AbstractContextManager[Service]:
    """A service that keeps corrections in `folder`."""
    return Service.started(models, feedback=folder, admin_token=TOKEN, **settings)


@pytest.fixture(scope="module")
def models(published: tuple[Store, Version]) -> Path:
    return published[0].folder.parent


@pytest.fixture(scope="module")
def open_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("feedback") / "not there yet"


@pytest.fixture(scope="module")
def shared(models: Path, open_folder: Path) -> Iterator[Service]:
    with started(models, open_folder, feedback_rate=10_000) as service:
        yield service


@pytest.fixture
def collecting(shared: Service, open_folder: Path) -> Service:
    """A service that accepts corrections, without any."""
    with shared.client(headers=ADMIN) as client:
        for image in client.get("/v1/feedback").json()["images"]:
            client.delete(f"/v1/feedback/{image['sha256']}")
    assert not files(open_folder)
    return shared


def correct(
    service: Service, image: bytes, label: str | None = None, **query: str
) -> httpx2.Response:
    given = query if label is None else {"label": label, **query}
    with service.client(headers=IMAGE_KIND) as client:
        return client.post("/v1/feedback", content=image, params=given)


def admin(service: Service, method: str, path: str = "", **query: str | int) -> httpx2.Response:
    with service.client(headers=ADMIN) as client:
        return client.request(method, f"/v1/feedback{path}", params=query)


def files(folder: Path) -> list[str]:
    """The corrections, as paths without the hash."""
    return sorted(str(path.parent.relative_to(folder)) for path in folder.rglob("*.png"))


def sevens(count: int) -> list[bytes]:
    """Different images of a seven."""
    return [encoded(seven(pen=0.03 + 0.07 * place / count)) for place in range(count)]


# ---- what is kept -------------------------------------------------------------------------------


def test_a_correction_is_kept_as_the_network_saw_the_image(
    collecting: Service, open_folder: Path
) -> None:
    response = correct(collecting, SEVEN, "1")
    assert response.status_code == 201
    document = response.json()
    assert (document["label"], document["state"]) == ("1", "accepted")
    assert document["prediction"]["digit"] == 7
    assert document["model"] == {"name": "digits", "version": "1"}
    kept = open_folder / f"accepted/1/{document['sha256']}.png"
    pixels = decode(kept.read_bytes(), max_pixels=784)
    assert np.array_equal(pixels, normalize_digit(decode(SEVEN, max_pixels=10**6)))
    with collecting.client(headers=ADMIN) as client:
        assert client.get(response.headers["Location"]).content == kept.read_bytes()


@pytest.mark.parametrize(
    "request_",
    [
        {"json": {"image": b64encode(SEVEN).decode(), "label": "1"}},
        {"json": {"images": [b64encode(SEVEN).decode()], "label": "1", "request_id": "id-1"}},
        {"files": {"image": ("seven.png", SEVEN)}, "data": {"label": "1", "request_id": "id-1"}},
        {"data": {"image": b64encode(SEVEN).decode(), "label": "1"}},
        {"content": SEVEN, "params": {"label": "1"}},
        {"files": {"image": ("seven.png", SEVEN)}, "params": {"label": "1"}},
    ],
    ids=["JSON", "a list of one", "multipart", "urlencoded", "an image file", "both"],
)
def test_every_body_of_a_prediction_may_carry_a_correction(
    collecting: Service, open_folder: Path, request_: dict[str, Any]
) -> None:
    with collecting.client() as client:
        response = client.post("/v1/feedback", **request_)
    assert response.status_code == 201, response.text
    assert files(open_folder) == ["accepted/1"]


def test_a_correction_that_comes_again_is_known(collecting: Service, open_folder: Path) -> None:
    first, second = correct(collecting, SEVEN, "1"), correct(collecting, SEVEN, "1")
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert files(open_folder) == ["accepted/1"]


def test_a_label_that_the_model_is_certain_to_be_wrong_waits(
    collecting: Service, open_folder: Path, judged: Judged
) -> None:
    confidence = np.exp(judged.logits - np.logaddexp.reduce(judged.logits, 1, keepdims=True))
    certain = int(confidence.max(1).argmax())
    right = int(judged.logits[certain].argmax())
    wrong = str((right + 1) % 10)
    response = correct(collecting, encoded(judged.pixels[certain]), wrong)
    assert response.json()["prediction"]["confidence"] > 0.999
    assert response.json()["state"] == "waiting"
    assert files(open_folder) == [f"waiting/{wrong}"]


def test_an_image_with_two_labels_waits(collecting: Service, open_folder: Path) -> None:
    assert correct(collecting, SEVEN, "1").json()["state"] == "accepted"
    assert correct(collecting, SEVEN, "7").json()["state"] == "waiting"
    assert files(open_folder) == ["waiting/1", "waiting/7"]


def test_a_label_that_the_model_gives_is_not_needed(collecting: Service, open_folder: Path) -> None:
    response = correct(collecting, SEVEN, "7")
    assert (response.status_code, response.json()["state"]) == (200, "not_needed")
    assert "Location" not in response.headers
    assert not files(open_folder)


def test_a_label_that_the_model_gives_disputes_another_one(
    collecting: Service, open_folder: Path
) -> None:
    correct(collecting, SEVEN, "1")
    assert correct(collecting, SEVEN, "7").json()["state"] == "waiting"
    assert files(open_folder) == ["waiting/1", "waiting/7"]


def test_a_label_that_the_model_gives_with_too_little_confidence_waits(
    tmp_path: Path, version: Version
) -> None:
    never = Acceptance(
        threshold=1, wanted=1, validation_accepted=0, validation_accuracy=None,
        test_accepted=0, test_accuracy=None,
    )  # fmt: skip
    store = Store(tmp_path / "models", "digits")
    store.activate(publish(store, version, acceptance=never))
    with started(store.folder.parent, tmp_path / "kept") as service:
        assert correct(service, SEVEN, "7").json()["state"] == "waiting"


def test_every_correction_waits_if_the_operator_reviews_all(models: Path, tmp_path: Path) -> None:
    with started(models, tmp_path, feedback_review="all") as service:
        assert correct(service, SEVEN, "1").json()["state"] == "waiting"


def test_colour_images_are_kept_in_colour(tmp_path: Path, version: Version) -> None:
    store = publish_and_activate(tmp_path / "models", version, "colours")
    green = np.zeros((40, 50, 3), np.uint8)
    green[..., 1] = 200
    with started(store.folder.parent, tmp_path / "kept", model="colours") as service:
        assert correct(service, encoded(green), "red").status_code == 201
        refused = problem(correct(service, encoded(green), "red", ink="on"), 400)
        assert refused["detail"] == "`ink` is for models of digits: leave it out"
    (kept,) = (tmp_path / "kept/waiting/red").iterdir()
    pixels = decode(kept.read_bytes(), max_pixels=10**4)
    assert pixels.shape == (32, 32, 3)
    assert pixels[0, 0].tolist() == [0, 200, 0]


def test_the_request_that_is_corrected_is_logged(collecting: Service) -> None:
    correct(collecting, SEVEN, "1", request_id="the-wrong-one")
    wait_to_read(r"request the-wrong-one is corrected: '1', not '7'", collecting)


# ---- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "query", "status", "code", "detail"),
    [
        (
            SEVEN,
            {"label": "ten"},
            422,
            "unknown-label",
            "'ten' is not a label: the labels of version 1 are 0, 1",
        ),
        (SEVEN, {}, 422, "unknown-label", "`label` is missing: the labels of version 1 are 0, 1"),
        (SEVEN, {"label": "1", "top_k": "3"}, 400, "bad-option", "'top_k' is unknown"),
        (SEVEN, {"label": "1", "request_id": "a\nb"}, 400, "bad-option", "request_id"),
        (b"nonsense", {"label": "1"}, 422, "not-a-picture", ""),
        (encoded(np.full((50, 50), 255, np.uint8)), {"label": "1"}, 422, "blank-picture", ""),
        (b"", {"label": "1"}, 400, "empty-body", ""),
    ],
)
def test_what_is_no_correction_is_refused_and_not_kept(
    collecting: Service, open_folder: Path, image: bytes, query: dict[str, str], status: int,
    code: str, detail: str,
) -> None:  # fmt: skip
    refused = problem(correct(collecting, image, **query), status)
    assert refused["type"] == f"/problems/{code}"
    assert re.search(detail, refused["detail"])
    assert not files(open_folder)


def test_several_images_are_refused(collecting: Service) -> None:
    body = part(SEVEN) + part(SEVEN) + part(b"1", 'form-data; name="label"') + b"--x--\r\n"
    with collecting.client(headers=MULTIPART) as client:
        refused = problem(client.post("/v1/feedback", content=body), 413)
    assert "a correction is one image" in refused["detail"]


def test_two_labels_in_one_request_are_refused(collecting: Service) -> None:
    document = {"image": b64encode(SEVEN).decode(), "label": "1"}
    with collecting.client() as client:
        refused = problem(client.post("/v1/feedback?label=7", json=document), 400)
    assert "label came twice" in refused["detail"]


def test_a_label_that_is_no_text_is_refused(collecting: Service) -> None:
    document = {"image": b64encode(SEVEN).decode(), "label": 7}
    with collecting.client() as client:
        refused = problem(client.post("/v1/feedback", json=document), 400)
    assert refused["detail"] == "label: it must be a text in quotes"


def test_without_a_folder_corrections_are_off(service: Service) -> None:
    refused = problem(correct(service, SEVEN, "1"), 404)
    assert refused["type"] == "/problems/feedback-off"
    assert "DIGITSERVE_FEEDBACK=<folder>" in refused["detail"]
    with service.client() as client:
        assert client.get("/v1/status").json()["feedback"] is False


def test_the_status_says_that_corrections_are_accepted(collecting: Service) -> None:
    with collecting.client() as client:
        assert client.get("/v1/status").json()["feedback"] is True


# ---- pages of other sites -----------------------------------------------------------------------

OTHER_SITE = "https://example.org"


def sent_by_a_page(service: Service, **headers: str) -> httpx2.Response:
    """A form that a browser sends without asking the service first."""
    image = {"image": ("seven.png", SEVEN)}
    with service.client(headers={k.replace("_", "-"): v for k, v in headers.items()}) as client:
        response: httpx2.Response = client.post("/v1/feedback", files=image, data={"label": "1"})
        return response


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": OTHER_SITE, "Sec_Fetch_Site": "cross-site"},
        {"Origin": "http://localhost:3000", "Sec_Fetch_Site": "same-site"},
        {"Origin": OTHER_SITE},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
    ],
)
def test_the_page_of_another_site_sends_no_corrections(
    collecting: Service, open_folder: Path, headers: dict[str, str]
) -> None:
    refused = problem(sent_by_a_page(collecting, **headers), 403)
    assert refused["type"] == "/problems/cross-site"
    assert "DIGITSERVE_CORS_ORIGINS" in refused["detail"]
    assert not files(open_folder)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://digits.test", "Host": "digits.test"},
        {"Origin": "https://digits.test", "Host": "behind:8000", "Sec_Fetch_Site": "same-origin"},
        {},
    ],
    ids=["a plain http page", "behind a proxy that changes Host", "no browser"],
)
def test_the_service_s_own_page_and_other_clients_send_corrections(
    collecting: Service, headers: dict[str, str]
) -> None:
    assert sent_by_a_page(collecting, **headers).status_code == 201


@pytest.mark.parametrize("allowed", [OTHER_SITE, "*"])
def test_an_allowed_origin_sends_corrections(models: Path, tmp_path: Path, allowed: str) -> None:
    with started(models, tmp_path, cors_origins=allowed) as service:
        sent = sent_by_a_page(service, Origin=OTHER_SITE, Sec_Fetch_Site="cross-site")
    assert sent.status_code == 201


# ---- bounds -------------------------------------------------------------------------------------


def test_no_more_corrections_are_kept_than_may_be(models: Path, tmp_path: Path) -> None:
    first, second, third = sevens(3)
    with started(models, tmp_path, feedback_max=2) as service:
        assert correct(service, first, "1").status_code == 201
        assert correct(service, second, "1").status_code == 201
        refused = problem(correct(service, third, "1"), 507)
        assert "DIGITSERVE_FEEDBACK_MAX" in refused["detail"]
        assert correct(service, first, "1").status_code == 200  # known
        admin(service, "DELETE", f"/{correct(service, first, '1').json()['sha256']}")
        assert correct(service, third, "1").status_code == 201
    assert len(files(tmp_path)) == 2


def test_rejected_corrections_take_no_room_from_others(models: Path, tmp_path: Path) -> None:
    first, second = sevens(2)
    with started(models, tmp_path, feedback_max=1) as service:
        image = correct(service, first, "1").json()["sha256"]
        admin(service, "POST", f"/{image}/reject")
        assert correct(service, second, "1").status_code == 201
    assert files(tmp_path) == ["accepted/1", "rejected/1"]


def test_of_the_rejected_ones_the_oldest_are_deleted(models: Path, tmp_path: Path) -> None:
    old, young = (tmp_path / f"rejected/1/{digit * 64}.png" for digit in "01")
    old.parent.mkdir(parents=True)
    for path in (old, young):
        path.write_bytes(SEVEN)
    os.utime(old, (1.7e9, 1.7e9))
    with started(models, tmp_path, feedback_max=1, feedback_days=36_500) as service:
        wait_until(lambda: not old.exists(), service)
    assert young.exists()


def test_a_clock_that_jumps_deletes_nothing(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "accepted/1"
    folder.mkdir(parents=True)
    for number in range(30):
        path = folder / f"{number:064x}.png"
        path.write_bytes(SEVEN)
        os.utime(path, (1e9, 1e9))
    with started(models, tmp_path) as service:
        wait_to_read("30 of 30 corrections in .* are too old, and are kept", service)
    assert len(files(tmp_path)) == 30


def test_no_more_bytes_are_kept_than_may_be(models: Path, tmp_path: Path) -> None:
    ballast = tmp_path / f"accepted/7/{'0' * 64}.png"
    ballast.parent.mkdir(parents=True)
    ballast.write_bytes(bytes(2**16))
    with started(models, tmp_path, feedback_bytes=2**16) as service:
        refused = problem(correct(service, SEVEN, "1"), 507)
    assert "DIGITSERVE_FEEDBACK_BYTES" in refused["detail"]


def test_the_rate_of_each_client_is_bounded(models: Path, tmp_path: Path) -> None:
    keys = ["a-key-of-sixteen-letters", "another-key-of-sixteen-letters"]
    with started(models, tmp_path, feedback_rate=2, api_keys=",".join(keys)) as service:

        def sent(key: str) -> httpx2.Response:
            with service.client(headers=IMAGE_KIND | {"X-API-Key": key}) as client:
                response: httpx2.Response = client.post("/v1/feedback?label=1", content=SEVEN)
                return response

        assert [sent(keys[0]).status_code for _ in range(2)] == [201, 200]
        refused = sent(keys[0])
        assert "DIGITSERVE_FEEDBACK_RATE" in problem(refused, 429)["detail"]
        assert 0 < int(refused.headers["Retry-After"]) <= 30
        assert sent(keys[1]).status_code == 200
        assert sent("not-a-key-of-this-service").status_code == 401


def test_old_corrections_are_deleted(models: Path, tmp_path: Path) -> None:
    old, young = (tmp_path / f"accepted/7/{digit * 64}.png" for digit in "01")
    old.parent.mkdir(parents=True)
    for path in (old, young):
        path.write_bytes(SEVEN)
    os.utime(old, (1e9, 1e9))
    with started(models, tmp_path, feedback_days=30) as service:
        wait_until(lambda: not old.exists(), service)
    assert young.exists()


# ---- disks --------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_is_503_and_predictions_go_on(
    models: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "feedback"
    folder.touch()  # a file, since root may write to any folder
    with started(models, folder) as service:
        for _ in range(2):
            refused = problem(correct(service, SEVEN, "1"), 503)
            assert refused["type"] == "/problems/feedback-unavailable"
            assert str(tmp_path) not in refused["detail"]
        with service.client(headers=IMAGE_KIND) as client:
            assert client.post("/v1/predict", content=SEVEN).status_code == 200
        wait_to_read("the folder of corrections cannot be used: .*feedback", service)
        folder.unlink()
        assert correct(service, SEVEN, "1").status_code == 201
        wait_to_read("the folder of corrections can be used again", service)
    assert files(folder) == ["accepted/1"]


class OnSmallDisk(Service):
    """It sees a disk of 64 kB at SMALL_DISK."""

    mount = f'mount -t tmpfs -o size=64k tmpfs {SMALL_DISK} && exec "$@"'
    command = ("unshare", "-Urm", "sh", "-c", mount, "sh", *Service.command)


@needs_mounts
def test_a_full_disk_is_507_and_predictions_go_on(models: Path) -> None:
    folder = f"{SMALL_DISK}/feedback"
    with OnSmallDisk.started(models, feedback=folder, admin_token=TOKEN) as service:
        answers = [correct(service, image, "1") for image in sevens(30)]
        assert answers[0].status_code == 201
        assert problem(answers[-1], 507)["type"] == "/problems/feedback-disk-full"
        kept = sum(each.status_code == 201 for each in answers)
        assert admin(service, "GET").json()["accepted"] == kept
        with service.client(headers=IMAGE_KIND) as client:
            assert client.post("/v1/predict", content=SEVEN).status_code == 200


def test_several_services_may_share_a_folder(models: Path, tmp_path: Path) -> None:
    with started(models, tmp_path) as one, started(models, tmp_path) as other:
        assert correct(one, SEVEN, "1").status_code == 201
        assert correct(other, SEVEN, "1").status_code == 200
        assert correct(other, SEVEN, "7").json()["state"] == "waiting"
    assert files(tmp_path) == ["waiting/1", "waiting/7"]


# ---- review -------------------------------------------------------------------------------------


def test_the_list_has_each_image_with_its_labels(collecting: Service) -> None:
    disputed = correct(collecting, SEVEN, "1").json()["sha256"]
    correct(collecting, SEVEN, "7")
    plain = correct(collecting, sevens(1)[0], "1").json()["sha256"]
    listed = admin(collecting, "GET").json()
    assert (listed["accepted"], listed["waiting"], listed["rejected"]) == (1, 2, 0)
    assert listed["limits"]["corrections"] == 10_000
    first, second = listed["images"]
    assert (first["sha256"], first["disputed"]) == (disputed, True)
    assert {each["label"]: each["state"] for each in first["labels"]} == {
        "1": "waiting", "7": "waiting",
    }  # fmt: skip
    assert (second["sha256"], second["disputed"]) == (plain, False)
    (waiting,) = admin(collecting, "GET", state="waiting").json()["images"]
    assert waiting == first


def test_the_list_has_pages(collecting: Service) -> None:
    sent = [correct(collecting, image, "1").json()["sha256"] for image in sevens(5)]
    found: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = admin(collecting, "GET", limit=2, **after).json()
        found += [image["sha256"] for image in page["images"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert sorted(found) == sorted(sent)


def test_accepting_a_label_rejects_the_others(collecting: Service, open_folder: Path) -> None:
    image = correct(collecting, SEVEN, "1").json()["sha256"]
    correct(collecting, SEVEN, "7")
    undecided = problem(admin(collecting, "POST", f"/{image}/accept"), 409)
    assert "name one of 1, 7" in undecided["detail"]
    accepted = admin(collecting, "POST", f"/{image}/accept", label="1")
    assert {each["label"]: each["state"] for each in accepted.json()["labels"]} == {
        "1": "accepted", "7": "rejected",
    }  # fmt: skip
    assert files(open_folder) == ["accepted/1", "rejected/7"]
    assert correct(collecting, SEVEN, "7").json()["state"] == "rejected"


def test_a_rejected_image_is_not_for_training(collecting: Service, open_folder: Path) -> None:
    image = correct(collecting, SEVEN, "1").json()["sha256"]
    assert admin(collecting, "POST", f"/{image}/reject").status_code == 200
    assert files(open_folder) == ["rejected/1"]


@pytest.mark.parametrize("state", ["waiting", "rejected"])
def test_all_corrections_in_a_state_are_deleted_at_once(
    collecting: Service, open_folder: Path, state: str
) -> None:
    first, *_ = (correct(collecting, image, "1").json()["sha256"] for image in sevens(3))
    admin(collecting, "POST", f"/{first}/reject")
    correct(collecting, sevens(3)[1], "7")
    assert admin(collecting, "DELETE", state=state).json()["deleted"] > 0
    assert "accepted/1" in files(open_folder)
    assert not any(path.startswith(state) for path in files(open_folder))
    for refused in (admin(collecting, "DELETE"), admin(collecting, "DELETE", state="accepted")):
        assert problem(refused, 400)["type"] == "/problems/bad-parameter"


def test_the_list_says_what_an_admin_has_accepted(collecting: Service) -> None:
    first, second = (correct(collecting, image, "1").json()["sha256"] for image in sevens(2))
    admin(collecting, "POST", f"/{second}/accept")
    listed = admin(collecting, "GET", state="accepted").json()["images"]
    reviewed = {image["sha256"]: image["labels"][0]["reviewed"] for image in listed}
    assert reviewed == {first: False, second: True}


def test_a_deleted_image_is_gone(collecting: Service, open_folder: Path) -> None:
    image = correct(collecting, SEVEN, "1").json()["sha256"]
    assert admin(collecting, "DELETE", f"/{image}").json() == {"deleted": 1}
    assert not files(open_folder)
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/accept"), ("POST", "/reject")):
        gone = problem(admin(collecting, method, f"/{image}{path}"), 404)
        assert gone["type"] == "/problems/no-such-correction"


@pytest.mark.parametrize("image", ["..%2f..%2fetc%2fpasswd", "%2e%2e", "ABC", "0" * 63])
def test_an_image_is_named_by_its_hash_alone(collecting: Service, image: str) -> None:
    problem(admin(collecting, "GET", f"/{image}"), 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", f"/{'0' * 64}"),
        ("POST", f"/{'0' * 64}/accept"),
        ("POST", f"/{'0' * 64}/reject"),
        ("DELETE", f"/{'0' * 64}"),
    ],
)
def test_the_review_requires_the_admin_token(collecting: Service, method: str, path: str) -> None:
    with collecting.client() as client:
        refused = problem(client.request(method, f"/v1/feedback{path}"), 401)
    assert refused["type"] == "/problems/no-admin-token"


def test_corrections_are_counted(collecting: Service) -> None:
    names = [f'corrections_total{{result="{each}"}}' for each in ("accepted", "known")]
    before = [metric(collecting, name) for name in names]
    predictions = counted(collecting, "predictions_total")
    for _ in range(2):
        correct(collecting, SEVEN, "1")
    assert [metric(collecting, name) for name in names] == [each + 1 for each in before]
    assert counted(collecting, "predictions_total") == predictions
    requests = 'http_requests_total{code="201",method="POST",route="/v1/feedback"}'
    assert metric(collecting, requests) > 0
    assert admin(collecting, "GET").json()["accepted"] == 1
