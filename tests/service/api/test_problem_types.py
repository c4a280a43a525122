"""Every problem document has a type, and every type has a page that says what to do."""

import json
import re
from collections.abc import Callable
from html import unescape
from types import ModuleType
from typing import Any

import httpx2
import pytest

from service.errors import Problem, ProblemType
from service.problem_types import (
    TYPES,
    content,
    feedback,
    http,
    operation,
    prediction,
    retraining,
    versions,
)
from service.problem_types.prediction import QUEUE_FULL
from service.problem_types.versions import SWITCH_UNDER_WAY, VERSION_IN_USE, VERSION_REPLACED
from service.settings import PREFIX, Settings
from tests.service.api.test_pages import policy_of
from tests.service.http.test_bad_input import BLANK, png
from tests.support import fetch
from tests.support.connection import connected, request
from tests.support.forms import post_parts
from tests.support.metrics import counted
from tests.support.pictures import SEVEN
from tests.support.problems import problem
from tests.support.running import Service

SUBJECTS = [content, feedback, http, operation, prediction, retraining, versions]


# ---- the registry -------------------------------------------------------------------------------


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda module: module.__name__)
def test_a_constant_has_the_name_of_its_code_and_is_registered(subject: ModuleType) -> None:
    kinds = {name: each for name, each in vars(subject).items() if isinstance(each, ProblemType)}
    assert kinds
    for name, kind in kinds.items():
        assert kind.code.replace("-", "_").upper() == name
        assert TYPES[kind.code] is kind


def test_titles_are_unique_settings_exist_and_every_503_can_be_retried() -> None:
    assert len({kind.title for kind in TYPES.values()}) == len(TYPES)
    settings = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for kind in TYPES.values():
        assert set(kind.settings) <= settings, kind.code
        assert kind.retry or kind.status != 503, kind.code


def test_what_will_soon_succeed_says_when_to_send_it_again() -> None:
    for kind in (QUEUE_FULL, VERSION_REPLACED, SWITCH_UNDER_WAY):
        assert Problem(kind, "").headers["retry-after"] == "1"
    assert "retry-after" not in Problem(VERSION_IN_USE, "").headers


# ---- the pages ----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", TYPES)
def test_each_type_has_a_page_with_its_meaning_and_what_to_do(service: Service, code: str) -> None:
    kind = TYPES[code]
    page = page_at(service, kind.uri)
    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    text = text_of(page)
    for each in (kind.title, code, kind.meaning, kind.remedy, *kind.settings):
        assert each.replace("`", "") in text
    assert ("Yes" in text) == kind.retry


@pytest.mark.parametrize("path", ["/problems", "/problems/queue-full"])
def test_the_links_of_a_page_are_relative_and_resolve(service: Service, path: str) -> None:
    page = page_at(service, path)
    links = set(re.findall(r'(?:href|src)="([^"]*)"', page.text))
    assert not [link for link in links if link.startswith("/") or ":" in link]
    targets = {httpx2.URL(service.url + path).join(link).path for link in links}
    if path == "/problems":
        assert {kind.uri for kind in TYPES.values()} <= targets
    for target in targets:
        answer = page_at(service, target)
        assert (answer.status_code, target) == (200, target)


@pytest.mark.parametrize("path", ["/problems", "/problems/blank-picture"])
def test_a_page_needs_no_script_and_loads_nothing_from_elsewhere(
    service: Service, path: str
) -> None:
    page = page_at(service, path)
    policy = policy_of(page)
    assert "<script" not in page.text
    assert policy["default-src"] == "'none'"
    assert re.fullmatch(r"'self' 'sha256-[\w+/]+='", policy["style-src"])


def test_a_code_that_does_not_exist_is_404(service: Service) -> None:
    reported = problem(page_at(service, "/problems/no-such-code"), 404)
    assert reported["type"] == "/problems/no-such-route"
    assert "GET /problems" in reported["detail"]


def test_pages_are_counted_by_route_without_the_code(service: Service) -> None:
    series = 'http_requests_total{code="200",method="GET",route="/problems/{code}"}'
    before = counted(service, series)
    page_at(service, "/problems/stopping")
    page_at(service, "/problems/queue-full")
    assert counted(service, series) == before + 2


# ---- problems of real requests ------------------------------------------------------------------


def sent(path: str, body: bytes = SEVEN, **headers: str) -> Callable[[Service], httpx2.Response]:
    """A POST, which takes the fast path if the path is a fast route."""

    def send(service: Service) -> httpx2.Response:
        with service.client() as client:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return client.post(path, content=body, headers=named)

    return send


def in_chunks(body: bytes) -> Callable[[Service], httpx2.Response]:
    """A POST of unknown length, which goes through ASGI."""

    def send(service: Service) -> httpx2.Response:
        with service.client() as client:
            return client.post("/v1/predict", content=iter([body]))

    return send


def requested(path: str, method: str = "GET") -> Callable[[Service], httpx2.Response]:
    def send(service: Service) -> httpx2.Response:
        with service.client() as client:
            return client.request(method, path)

    return send


ANSWERED = {
    "empty-body": sent("/v1/predict", b""),
    "bad-option": sent("/v1/predict?top=3"),
    "bad-timeout": sent("/v1/predict", X_Request_Timeout="soon"),
    "bad-json": sent("/v1/predict", b"{", Content_Type="application/json"),
    "bad-document": sent("/v1/predict", b"{}", Content_Type="application/json"),
    "bad-base64": sent("/v1/predict", b'{"image": "%"}', Content_Type="application/json"),
    "media-type-mismatch": sent("/v1/predict", Content_Type="application/json"),
    "bad-form": lambda service: post_parts(service),
    "bad-parameter": requested("/v1/live?events=-1"),
    "admin-closed": requested("/v1/models/digits/rollback", "POST"),
    "no-such-route": requested("/v3"),
    "no-such-model": requested("/v1/models/letters"),
    "no-such-version": requested("/v1/models/digits/versions/99"),
    "no-such-sample": requested("/v1/samples/random?label=seven"),
    "method-not-implemented": requested("/livez", "BREW"),
    "method-not-allowed": requested("/livez", "DELETE"),
    "body-too-large": sent("/v1/predict", bytes(10 * 2**20 + 1)),
    "too-many-pixels": sent("/v1/predict", png(30_000, 30_000)),
    "too-many-pictures": sent(
        "/v1/predict",
        json.dumps({"images": ["AA=="] * 300}).encode(),
        Content_Type="application/json",
    ),
    "unsupported-media-type": sent("/v1/predict", b"seven", Content_Type="text/html"),
    "unsupported-encoding": sent("/v1/predict", Content_Encoding="br"),
    "feedback-off": sent("/v1/feedback?label=7"),
    "blank-picture": sent("/v1/predict", BLANK),
    "not-a-picture": sent("/v1/predict", b"this is text"),
    "blank-picture in chunks": in_chunks(BLANK),
    "not-a-picture in chunks": in_chunks(b"this is text"),
    "body-too-large in chunks": in_chunks(bytes(10 * 2**20 + 1)),
}


@pytest.mark.parametrize("name", ANSWERED)
def test_the_type_of_a_real_error_leads_to_its_page(service: Service, name: str) -> None:
    response = ANSWERED[name](service)
    code = name.partition(" ")[0]
    reported = problem(response, TYPES[code].status)
    assert reported["type"] == f"/problems/{code}"
    page = fetch.get(response.url.join(reported["type"]))
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert f"<h1>{reported['title']}</h1>" in page.text


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (b"this is not HTTP\r\n\r\n", "bad-http"),
        (request(SEVEN, "X-API-Key: a", "X-API-Key: b"), "repeated-header"),
        (b"GET /livez HTTP/1.1\r\n\r\n", "host-header"),
        (request(SEVEN, "X-Long: " + "x" * 20_000), "head-too-large"),
    ],
)
def test_the_type_of_a_malformed_request_leads_to_its_page_too(
    service: Service, lines: bytes, code: str
) -> None:
    with connected(service) as connection:
        connection.send(lines)
        status, _, body = connection.answer()
    reported: dict[str, Any] = json.loads(body)
    assert reported["type"] == f"/problems/{code}"
    assert status == reported["status"] == TYPES[code].status
    assert page_at(service, reported["type"]).status_code == 200


def test_under_v2_an_error_has_the_format_of_the_protocol(service: Service) -> None:
    answer = page_at(service, "/v2/models/letters")
    assert answer.status_code == 404
    assert answer.json().keys() == {"error"}


def page_at(service: Service, path: str) -> httpx2.Response:
    return fetch.get(service.url + path)


def text_of(page: httpx2.Response) -> str:
    """The text content of a page."""
    return unescape(re.sub(r"<[^>]+>", "", page.text))
