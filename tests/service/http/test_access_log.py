"""Which requests are in the access log and with which fields; never what they contain."""

import base64
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from contract.store import Store
from contract.version import Version
from tests.support import fetch
from tests.support.connection import connected, request
from tests.support.failing import NEARLY, REASON, SLOWLY
from tests.support.marks import slow
from tests.support.pictures import SEVEN
from tests.support.running import Service, wait_to_read, wait_until
from tests.support.tensors import HEADER, document, post

MODEL_READY = "/v2/models/digits/ready"
INK_ALL_OVER = b"\xff" * 784
NEARLY_ALL_OVER = bytes([NEARLY]) * 784


class Failing(Service):
    command = (sys.executable, "-m", "tests.support.failing")


@pytest.fixture
def models(published: tuple[Store, Version]) -> Path:
    return published[0].folder.parent


def lines(service: Service, **fields: object) -> list[dict[str, Any]]:
    """The lines of the access log with these fields."""
    reported = [event for event in service.events if event["logger"] == "access"]
    return [event for event in reported if fields.items() <= event.items()]


def line_of(service: Service, answer: httpx2.Response) -> dict[str, Any]:
    """The line of a request, which is written soon after the response."""
    of_this = {"request_id": answer.headers["X-Request-ID"]}
    wait_until(lambda: lines(service, **of_this), service)
    (line,) = lines(service, **of_this)
    return line


def predict(service: Service, body: bytes = SEVEN, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return fetch.post(f"{service.url}/v1/predict", content=body, headers=named)


def fail(service: Service) -> httpx2.Response:
    body = document()
    return post(service, body + INK_ALL_OVER, **{HEADER: len(body)})


def test_a_line_has_the_timings_of_a_prediction(models: Path) -> None:
    with Service.started(models) as service:
        line = line_of(service, answer := predict(service))
        body = document()
        served = line_of(service, post(service, body + bytes(784), **{HEADER: len(body)}))
    assert answer.json()["model"]["version"] == line["model_version"]
    assert (line["level"], line["event"]) == ("info", "POST /v1/predict 200")
    assert (line["method"], line["route"], line["status"]) == ("POST", "/v1/predict", 200)
    assert (line["client"], line["batch_size"]) == ("127.0.0.1", 1)
    parts = [line[f"{part}_seconds"] for part in ("decode", "queue", "infer")]
    assert all(part > 0 for part in parts)
    assert sum(parts) <= line["seconds"]
    assert "decode_seconds" not in served  # the tensors came as pixels
    assert "left_out" not in line


@pytest.mark.parametrize("mode", ["off", "sampled", "all"])
def test_each_failure_is_logged_once_in_every_mode_with_its_reason(models: Path, mode: str) -> None:
    settings = {"access_log": mode, "request_timeout": SLOWLY / 2}
    with Failing.started(models, **settings) as service:
        with ThreadPoolExecutor(12) as pool:  # more than ten at once
            failures = list(pool.map(lambda _: fail(service), range(12)))
        body = document()
        late = post(service, body + NEARLY_ALL_OVER, **{HEADER: len(body)})
        assert (failures[0].status_code, late.status_code) == (500, 504)
        reported = [line_of(service, failure) for failure in failures]
        too_late = line_of(service, late)
        assert service.log.count(failures[0].headers["X-Request-ID"]) == 1
    for line in reported:
        assert (line["level"], line["exception"]) == ("error", f"RuntimeError: {REASON}")
        assert "in _failing" in line["traceback"]
        assert line["route"] == "/v2/models/digits/infer"
    assert (too_late["level"], too_late["error"]) == ("error", "Too late")
    assert too_late["problem"] == "deadline-passed"
    assert "deadline" in too_late["detail"]


@pytest.mark.parametrize(
    ("mode", "log_level", "is_logged"),
    [slow("off", "info", False), ("sampled", "info", True), slow("all", "warning", False)],
)
def test_a_deadline_set_by_the_client_is_logged_as_an_answer(
    models: Path, mode: str, log_level: str, is_logged: bool
) -> None:
    """However it is set; a deadline as long as that of the service counts as the service's own."""
    with Failing.started(
        models, access_log=mode, log_level=log_level, request_timeout=SLOWLY / 2
    ) as service:
        body, pixels = document(), NEARLY_ALL_OVER
        hasty = document(parameters={"timeout": 1})
        own = [
            post(service, hasty + pixels, **{HEADER: len(hasty)}),
            post(service, body + pixels, **{HEADER: len(body), "X_Request_Timeout": "0.1"}),
        ]
        ours = [
            post(service, body + pixels, **{HEADER: len(body), "X_Request_Timeout": str(seconds)})
            for seconds in (SLOWLY / 2, SLOWLY)
        ]
        assert {answer.status_code for answer in (*own, *ours)} == {504}
        levels = {line_of(service, answer)["level"] for answer in ours}
        reported = [line_of(service, answer)["level"] for answer in own] if is_logged else []
        assert len(lines(service, status=504)) == len(ours) + len(reported)
        assert levels == {"error"}
        assert {*reported} <= {"info"}


def test_off_logs_nothing_but_failures(models: Path) -> None:
    with Failing.started(models, access_log="off") as service:
        predict(service)
        predict(service, b"no picture")
        fetch.get(f"{service.url}/nowhere")
        line_of(service, fail(service))
        assert len(lines(service)) == 1


def test_all_logs_every_request(models: Path) -> None:
    with Service.started(models, access_log="all") as service:
        with service.client() as client:
            answers = [client.get("/livez") for _ in range(50)]
            answers += [client.get("/nowhere") for _ in range(50)]
        reported = [line_of(service, answer) for answer in answers]
        assert len(lines(service)) == 100
    assert [line["level"] for line in reported] == ["info"] * 50 + ["warning"] * 50
    assert {line["route"] for line in reported} == {"/livez", "other"}


def send_until_left_out(
    service: Service, send: Callable[[], httpx2.Response], **fields: object
) -> tuple[int, list[dict[str, Any]]]:
    """Send 100 requests, then more until a line has the number of lines left out.

    Returns how many requests that line and those before account for, and these lines. Later
    requests may not be logged yet.
    """
    ids = [send().headers["X-Request-ID"] for _ in range(100)]

    def reported() -> bool:
        ids.append(send().headers["X-Request-ID"])
        return any("left_out" in line for line in lines(service, **fields))

    wait_until(reported, service)
    found = lines(service, **fields)
    last = next(place for place, line in enumerate(found) if "left_out" in line)
    until = ids.index(found[last]["request_id"]) + 1
    return until, found[: last + 1]


@pytest.mark.parametrize(
    ("path", "status", "level"), [("/v1/status", 200, "info"), ("/nowhere", 404, "warning")]
)
def test_sampled_logs_a_part_of_many_requests_and_how_many_it_left_out(
    models: Path, path: str, status: int, level: str
) -> None:
    with Service.started(models) as service, service.client() as client:
        sent, reported = send_until_left_out(service, lambda: client.get(path), status=status)
    assert len(reported) >= 10
    assert len(reported) + sum(line.get("left_out", 0) for line in reported) == sent
    assert {line["level"] for line in reported} == {level}


def test_rejected_requests_do_not_use_up_the_lines_of_answered_ones(models: Path) -> None:
    with Service.started(models) as service, service.client() as client:
        for _ in range(100):
            client.get("/nowhere")
        assert "left_out" not in line_of(service, client.get("/v1/status"))


def test_sampled_leaves_out_probes_unless_they_fail(models: Path) -> None:
    with Service.started(models, drain_seconds=30) as service, service.client() as client:
        for path in ("/livez", "/readyz", "/metrics", "/v2/health/ready", MODEL_READY):
            assert client.get(path).status_code == 200
        line_of(service, client.get("/v1/status"))
        assert len(lines(service)) == 1
        service.send(signal.SIGTERM)
        wait_to_read("not ready any more", service)
        line = line_of(service, client.get("/readyz"))
        assert (line["level"], line["error"], line["status"]) == ("warning", "Stopping", 503)
        service.send(signal.SIGTERM)


def test_lines_below_the_log_level_are_not_written(models: Path) -> None:
    with Failing.started(models, access_log="all", log_level="warning") as service:
        predict(service)
        line_of(service, predict(service, b"no picture"))
        assert [line["status"] for line in lines(service)] == [422]


SECRETS = {
    "key": "the-key-of-a-customer-0001", "token": "the-token-of-the-admin-0002",
    "guess": "somebody-elses-key-0003", "query": "a-key-in-a-query-0004", "body": "BODY-0005",
}  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "workers"), [slow("off", 1), ("sampled", 1), slow("all", 1), slow("all", 2)]
)
def test_no_secret_and_no_content_of_a_body_is_ever_logged(
    models: Path, mode: str, workers: int
) -> None:
    settings = {"api_keys": SECRETS["key"], "admin_token": SECRETS["token"], "drain_seconds": 0}
    more = {"access_log": mode, "log_level": "debug", "workers": workers}
    with Failing.started(models, **settings, **more) as service:
        statuses = {answer.status_code for answer in requests_with_secrets(service)}
        for raw in malformed_requests():
            with connected(service) as connection:
                connection.send(raw)
                statuses.add(connection.answer()[0])
        service.send(signal.SIGTERM)
        assert service.exit_code() == 0
    assert statuses >= {200, 400, 401, 404, 405, 409, 415, 422}
    assert 500 in statuses or workers > 1  # with a real model
    text = base64.b64encode(SECRETS["body"].encode()).decode()
    for secret in (*SECRETS.values(), text, SECRETS["body"].encode().hex()):
        assert secret not in service.log


def requests_with_secrets(service: Service) -> list[httpx2.Response]:
    """Requests with a secret in every possible place, with responses of many kinds."""
    secret, body = SECRETS["query"], SECRETS["body"]
    header = {"X-API-Key": SECRETS["key"]}
    guesses: list[dict[str, str]] = [
        {"X-API-Key": SECRETS["guess"]},
        {"Authorization": f"Bearer {SECRETS['guess']}"},
        {"Authorization": f"Basic {SECRETS['guess']}"},
    ]
    form = {"Content-Type": f"multipart/form-data; boundary={body}"}
    named = document(id=body)
    with service.client() as client:
        predict, infer = "/v1/predict", "/v2/models/digits/infer"
        return [
            *(client.post(predict, content=SEVEN, headers=guess) for guess in guesses),
            client.post(predict, content=SEVEN, headers=header),
            client.post(f"{predict}?api_key={secret}", content=SEVEN, headers=header),
            client.post(f"{predict}?top_k={secret}", content=SEVEN, headers=header),
            client.post(predict, content=body, headers=header),
            client.post(predict, content=body, headers=header | {"Content-Type": body}),
            client.post(predict, json={"image": body}, headers=header),
            client.post(predict, json={body: body}, headers=header),
            client.post(predict, content=f"--{body}--", headers=header | form),
            client.post(predict, content=SEVEN, headers=header | {"X-Request-Timeout": body}),
            client.post(infer, content=body, headers=header),
            client.post(infer, content=document(name=body), headers=header),
            client.post(
                infer,
                content=named + INK_ALL_OVER,
                headers=header | {HEADER: str(len(named))},
            ),
            client.get(f"/{secret}?key={secret}", headers=header),
            client.get(f"/v1/models/{secret}", headers=header),
            client.get(f"/v1/samples/random?label={secret}", headers=header),
            client.delete(f"{predict}?key={secret}", headers=header),
            client.post(
                "/v1/models/digits/rollback",
                headers={"Authorization": f"Bearer {SECRETS['token']}"},
            ),
            client.post(f"/v2/repository/models/{secret}/load", json={body: body}, headers=header),
        ]


def malformed_requests() -> list[bytes]:
    """Bytes that are not valid HTTP."""
    key, body = SECRETS["key"], SECRETS["body"].encode()
    return [
        f"GET /v1/status?key={key} HTTP/9.x\r\nX-API-Key: {key}\r\n\r\n".encode(),
        f"GET /v1/status HTTP/1.1\r\nX-API-Key : {key}\r\n{key}\r\n\r\n".encode(),
        request(body, f"X-API-Key: {key}", f"X-API-Key: {key}"),
        request(body, f"Authorization: {key}\x01{key}"),
        f"POST /v1/predict HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n".encode()
        + b"Transfer-Encoding: chunked\r\n\r\n" + body + b"\r\n\r\n",
        body * 10 + b"\r\n\r\n",
    ]  # fmt: skip


def test_settings_are_logged_without_their_secrets(models: Path) -> None:
    secret = SECRETS["key"]
    service = Service(models, api_keys=f"{secret},short", admin_token="short", max_batch=0)
    assert service.exit_code() == 2
    assert "DIGITSERVE_MAX_BATCH=0" in service.log
    assert all(line.startswith("service: DIGITSERVE_") for line in service.log.splitlines())
    assert secret not in service.log
