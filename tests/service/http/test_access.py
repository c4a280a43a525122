"""Authorization: API keys, the admin token and other origins."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from contract.store import Store
from contract.version import Version
from tests.support.connection import connected, request
from tests.support.metrics import counted
from tests.support.pictures import SEVEN
from tests.support.problems import problem
from tests.support.running import Service, wait_until

KEYS = ["key-of-the-old-days-0001", "key-of-these-days-000002"]
TOKEN = "the-admins-own-token-000003"
ORIGIN = "https://shop.example"


@pytest.fixture(scope="module")
def guarded(published: tuple[Store, Version]) -> Iterator[Service]:
    settings = {"api_keys": ", ".join(KEYS), "admin_token": TOKEN, "cors_origins": ORIGIN}
    settings["access_log"] = "all"
    with Service.started(published[0].folder.parent, **settings) as service:
        yield service


def send(
    service: Service, path: str = "/v1/predict", method: str = "POST", **headers: str
) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with service.client() as client:
        return client.request(method, path, content=SEVEN, headers=named)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("path", ["/v1/predict", "/v1/%70redict", "/v1/predict?top_k=1"])
def test_each_api_key_authorizes_predictions(guarded: Service, key: str, path: str) -> None:
    assert send(guarded, path, X_API_Key=key).status_code == 200
    assert send(guarded, path, Authorization=f"Bearer {key}").status_code == 200
    assert send(guarded, path, Authorization=f"bearer {key}").status_code == 200


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "no_key"),
        ({"Authorization": f"Basic {KEYS[0]}"}, "no_key"),
        ({"X_API_Key": "not-one-of-the-keys"}, "wrong_key"),
        ({"X_API_Key": "", "Authorization": f"Bearer {KEYS[0]}"}, "wrong_key"),
        ({"X_API_Key": KEYS[0][:-1]}, "wrong_key"),
        ({"X_API_Key": f"{KEYS[0]}, {KEYS[1]}"}, "wrong_key"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/predict", "/v1/%70redict"])
def test_a_prediction_without_a_key_is_401_logged_and_counted(
    guarded: Service, headers: dict[str, str], reason: str, path: str
) -> None:
    name = f'access_refused_total{{reason="{reason}"}}'
    before = counted(guarded, name)
    who = f"who-is-it-{uuid4()}"
    response = send(guarded, path, X_Request_ID=who, **headers)
    code = {"no_key": "no-api-key", "wrong_key": "wrong-api-key"}[reason]
    assert problem(response, 401)["type"] == f"/problems/{code}"
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert counted(guarded, name) == before + 1
    refusal = {"request_id": who, "client": "127.0.0.1", "problem": code}
    wait_until(lambda: any(refusal.items() <= event.items() for event in guarded.events), guarded)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/status"),
        ("GET", "/v1/models"),
        ("GET", "/v1/live"),
        ("GET", "/v1/live/snapshot"),
        ("GET", "/nowhere"),
        ("GET", "/v1/status/../../livez/../v1/status"),
        ("POST", "/v1/models/digits/rollback"),
    ],
)
def test_all_other_routes_need_a_key_too(guarded: Service, method: str, path: str) -> None:
    problem(send(guarded, path, method), 401)


@pytest.mark.parametrize("path", ["/v2/models/digits/infer", "/v2", "/v2/models/digits"])
def test_the_open_inference_protocol_reports_401_in_its_own_format(
    guarded: Service, path: str
) -> None:
    response = send(guarded, path)
    assert response.status_code == 401
    assert response.json() == {
        "error": "send an API key: Authorization: Bearer <key>, or X-API-Key: <key>"
    }


@pytest.mark.parametrize(
    "path",
    [
        "/livez",
        "/readyz",
        "/metrics",
        "/",
        "/web/main.js",
        "/docs",
        "/openapi.json",
        "/problems",
        "/problems/no-api-key",
    ],
)
def test_probes_metrics_and_pages_need_no_key(guarded: Service, path: str) -> None:
    assert send(guarded, path, "GET").status_code == 200


def test_the_admin_token_is_a_key_but_a_key_is_not_an_admin_token(guarded: Service) -> None:
    assert send(guarded, Authorization=f"Bearer {TOKEN}").status_code == 200
    rollback = "/v1/models/digits/rollback"
    problem(send(guarded, rollback, Authorization=f"Bearer {KEYS[0]}"), 401)
    problem(send(guarded, rollback, Authorization=f"Bearer {TOKEN}"), 409)  # no previous version
    problem(send(guarded, rollback, Authorization=f"Bearer {TOKEN}", X_API_Key=KEYS[1]), 409)


def test_the_body_of_an_unauthorized_request_is_not_awaited(guarded: Service) -> None:
    for path in ("/v1/predict", "/v1/%70redict"):
        with connected(guarded) as connection:
            connection.send(request(path=path)[:-10])
            assert connection.answer()[0] == 401


def test_no_secret_is_ever_logged(guarded: Service) -> None:
    send(guarded, X_API_Key="a-secret-of-somebody-else")
    send(guarded, Authorization=f"Bearer {KEYS[0]}")
    for secret in (*KEYS, TOKEN, "a-secret-of-somebody-else"):
        assert secret not in guarded.log


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("api_keys", "short"),
        ("api_keys", f"{KEYS[0]},short"),
        ("api_keys", ""),
        ("api_keys", " , "),
        ("api_keys", "a key with blanks in it"),
        ("cors_origins", "shop.example"),
        ("cors_origins", "https://shop.example/path"),
    ],
)
def test_invalid_keys_and_origins_are_rejected_at_start_without_being_shown(
    published: tuple[Store, Version], setting: str, value: str
) -> None:
    refused = Service(published[0].folder.parent, **{setting: value})
    assert refused.exit_code() == 2
    assert f"DIGITSERVE_{setting.upper()}=" in refused.log
    if setting == "api_keys" and value.strip(" ,"):
        assert value not in refused.log


# ---- other origins ----------------------------------------------------------------------------

PREFLIGHT = {
    "Origin": ORIGIN,
    "Access_Control_Request_Method": "POST",
    "Access_Control_Request_Headers": "content-type,x-api-key",
}


def test_pages_of_an_allowed_origin_may_send_requests_and_read_responses(guarded: Service) -> None:
    preflight = send(guarded, method="OPTIONS", **PREFLIGHT)
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == ORIGIN
    answer = send(guarded, Origin=ORIGIN, X_API_Key=KEYS[0])
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "X-Request-ID" in answer.headers["Access-Control-Expose-Headers"]


def test_pages_of_an_allowed_origin_can_read_errors(guarded: Service) -> None:
    for headers in ({}, {"X_API_Key": KEYS[0], "Content_Type": "text/plain"}):
        answer = send(guarded, Origin=ORIGIN, **headers)
        assert answer.status_code in (401, 415)
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN


def test_pages_of_other_origins_are_not_allowed(guarded: Service) -> None:
    other: dict[str, Any] = {**PREFLIGHT, "Origin": "https://evil.example"}
    assert send(guarded, method="OPTIONS", **other).status_code == 400
    answer = send(guarded, Origin="https://evil.example", X_API_Key=KEYS[0])
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_without_allowed_origins_no_page_is_allowed(service: Service) -> None:
    for response in (send(service, method="OPTIONS", **PREFLIGHT), send(service, Origin=ORIGIN)):
        assert "Access-Control-Allow-Origin" not in response.headers
