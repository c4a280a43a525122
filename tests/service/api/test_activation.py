"""A version that is known to be worse serves only if an admin forces it, through either API."""

from collections.abc import Callable, Iterator

import httpx2
import pytest

from contract.card import Check, Gate, Imported
from contract.store import Store
from contract.version import Version
from tests.support import fetch
from tests.support.program import PATIENCE
from tests.support.running import ADMIN, TOKEN, Service, status, wait_to_read
from tests.support.versions import publish

IMPORTED = Imported(
    file="model.onnx", sha256="0" * 64, format="onnx", proven=("It loads.",), unknown=()
)
BEST, LESS_ACCURATE, JUDGED_WORSE, UNKNOWN = 1, 2, 3, 4


def worse() -> Gate:
    reason = "12.00% of 1,028 test images of 7 are classified correctly, before 99.61%."
    check = Check(name="recall of 7", passed=False, candidate=0.12, current=0.9961, reason=reason)
    numbers = {"images": 10_000, "gained": 3, "lost": 904, "p_value": 0.0}
    return Gate.model_validate({"parent": 1, "verdict": "worse", "checks": (check,), **numbers})


@pytest.fixture(scope="module")
def store(version: Version, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Version 1 is current, with an accuracy of 99.61 % on 10,000 images."""
    card = version.card
    assert card.evaluation is not None
    assert card.data_set is not None
    best, less = (
        card.evaluation.model_copy(update={"accuracy": accuracy}) for accuracy in (0.9961, 0.9694)
    )
    data = card.data_set.model_copy(update={"name": "mnist", "test": 10_000})
    store = Store(tmp_path_factory.mktemp("activation"), "digits")
    publish(store, version, evaluation=best, data_set=data)
    publish(store, version, evaluation=less, data_set=data)
    publish(store, version, evaluation=best, data_set=data, gate=worse())
    publish(store, version, evaluation=None, data_set=None, run=None, imported=IMPORTED)
    store.activate(BEST)
    return store


@pytest.fixture(scope="module")
def running(store: Store) -> Iterator[Service]:
    with Service.started(store.folder.parent, admin_token=TOKEN, watch_seconds=0) as service:
        yield service


@pytest.fixture
def service(running: Service) -> Service:
    """Version 1 serves."""
    by_v1(running, BEST, force=True).raise_for_status()
    return running


def by_v1(service: Service, version: int, *, force: bool | None = None) -> httpx2.Response:
    return _post(service, f"v1/models/digits/versions/{version}/activate", force=force)


def by_v2(service: Service, version: int, *, force: bool | None = None) -> httpx2.Response:
    path = f"v2/repository/models/digits/load?version={version}"
    return _post(service, path, parameters=None if force is None else {"force": force})


def by_query(service: Service, version: int, *, force: bool | None = None) -> httpx2.Response:
    """As Triton's client sends it, which has no such parameter."""
    query = "" if force is None else f"&force={force}"
    return _post(service, f"v2/repository/models/digits/load?version={version}{query}")


def _post(service: Service, path: str, **body: object) -> httpx2.Response:
    content = {name: value for name, value in body.items() if value is not None}
    return fetch.post(
        f"{service.url}/{path}", json=content or None, headers=ADMIN, timeout=PATIENCE
    )


Activate = Callable[..., httpx2.Response]
FORCE = {  # what the error says to send
    by_v1: 'Send {"force": true} to activate',
    by_v2: 'Send {"parameters": {"force": true}}, or ?force=true in the URL, to activate',
}
FORCE[by_query] = FORCE[by_v2]
every_route = pytest.mark.parametrize("activate", [by_v1, by_v2, by_query])


@every_route
@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (LESS_ACCURATE, "96.94% of 10,000 test images of mnist"),
        (JUDGED_WORSE, "recall of 7: 12.00% of 1,028 test images of 7"),
    ],
)
def test_a_worse_version_is_refused_with_what_is_worse(
    service: Service, activate: Activate, number: int, reason: str
) -> None:
    for force in (None, False):
        refused = activate(service, number, force=force)
        assert refused.status_code == 409
        assert reason in refused.text
        error = refused.json()["detail" if activate is by_v1 else "error"]
        assert FORCE[activate] in error
    assert status(service)["model"]["version"] == str(BEST)


@every_route
def test_a_worse_version_can_be_forced(service: Service, activate: Activate) -> None:
    forced = activate(service, JUDGED_WORSE, force=True)
    assert forced.status_code == 200
    assert forced.json()["model"]["version"] == str(JUDGED_WORSE)
    (warning,) = forced.json()["warnings"]
    assert warning.startswith("Version 3 is worse than 1 in recall of 7: 12.00%")
    wait_to_read(f"version {JUDGED_WORSE} was activated by hand: Version 3 is worse", service)


def test_the_problem_names_its_kind(service: Service) -> None:
    assert by_v1(service, LESS_ACCURATE).json()["type"] == "/problems/version-is-worse"


def test_a_rollback_to_a_worse_version_needs_no_force(service: Service) -> None:
    by_v1(service, LESS_ACCURATE, force=True).raise_for_status()
    by_v1(service, BEST).raise_for_status()
    back = _post(service, "v1/models/digits/rollback")
    assert (back.status_code, back.json()["warnings"]) == (200, [])
    assert back.json()["model"]["version"] == str(LESS_ACCURATE)


def test_an_unknown_accuracy_is_a_warning(service: Service) -> None:
    (warning,) = by_v1(service, UNKNOWN).raise_for_status().json()["warnings"]
    assert warning == f"The accuracy of version {UNKNOWN} is unknown: not compared."
    wait_to_read(f"version {UNKNOWN} was activated by hand: {warning}", service)


def test_the_version_that_serves_can_be_activated_again(service: Service, store: Store) -> None:
    """Even if `current` was changed to one that does not serve."""
    by_v1(service, JUDGED_WORSE, force=True).raise_for_status()
    store.activate(BEST)
    assert by_v1(service, JUDGED_WORSE).status_code == 200
    assert store.current() == JUDGED_WORSE


@pytest.mark.parametrize(
    "body", ['{"force": "yes"}', '{"forced": true}', "[]", "force", '{"force": 1}']
)
def test_an_invalid_body_is_refused(service: Service, body: str) -> None:
    url = f"{service.url}/v1/models/digits/versions/{LESS_ACCURATE}/activate"
    assert fetch.post(url, content=body.encode(), headers=ADMIN).status_code == 400


def test_versions_are_listed_with_their_verdict(service: Service) -> None:
    listed = fetch.get(f"{service.url}/v1/models/digits").json()["versions"]
    found = {each["version"]: (each["verdict"], each["compared_with"]) for each in listed}
    assert found["3"] == ("worse", "1")
    assert found["1"] == (None, None)
