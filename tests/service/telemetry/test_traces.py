"""Traces of requests as a real OTLP receiver gets them, and how callers affect them."""

import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from contract.store import Store
from contract.version import Version
from tests.support.connection import connected, request
from tests.support.marks import slow
from tests.support.metrics import counted, metric
from tests.support.pictures import SEVEN
from tests.support.receiver import ReceivedSpan, Receiver
from tests.support.running import Service, wait_until

PNG = {"Content-Type": "image/png"}
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SERVER, OK, ERROR = 2, 0, 2  # kind of span, status codes
ROUNDING = 1e-6  # seconds: times are sent in nanoseconds, which exceed the precision of a float
CLOCKS = 0.1  # seconds: the last byte may be read before its writer takes the time


@contextmanager
def traced(store: Store, **settings: object) -> Iterator[tuple[Service, Receiver]]:
    with (
        Receiver() as receiver,
        Service.started(
            store.folder.parent,
            **{"otlp_endpoint": receiver.url, "trace_sample": 1, "trace_limit": 10_000} | settings,
        ) as service,
    ):
        yield service, receiver


@pytest.fixture(scope="module")
def store(published: tuple[Store, Version]) -> Store:
    return published[0]


@pytest.fixture(scope="module")
def both(store: Store) -> Iterator[tuple[Service, Receiver]]:
    """A batch is full with eight images or after a second. Every request is traced."""
    with traced(store, max_batch=8, max_queue=8, max_wait=1) as both:
        yield both


@pytest.fixture
def service(both: tuple[Service, Receiver]) -> Service:
    return both[0]


@pytest.fixture
def receiver(both: tuple[Service, Receiver]) -> Receiver:
    return both[1]


def reported(
    both: tuple[Service, Receiver], response: dict[str, str] | httpx2.Headers
) -> ReceivedSpan:
    """The span of the request whose response has this `traceresponse`."""
    service, receiver = both
    _, trace_id, span_id, flags = response["traceresponse"].split("-")
    assert flags == "01"
    found: list[ReceivedSpan] = []

    def look() -> list[ReceivedSpan]:
        found[:] = [span for span in receiver.spans if span.span_id == span_id]
        return found

    wait_until(look, service)
    assert len(found) == 1
    assert found[0].trace_id == trace_id
    return found[0]


def children_of(parent: ReceivedSpan, receiver: Receiver) -> dict[str, ReceivedSpan]:
    return {span.name: span for span in receiver.spans if span.parent_id == parent.span_id}


def predict(service: Service, **headers: str) -> httpx2.Response:
    with service.client(headers=PNG) as client:
        return client.post("/v1/predict", content=SEVEN, headers=headers)


def logged(service: Service, request_id: str) -> list[dict[str, Any]]:
    return [event for event in service.events if event.get("request_id") == request_id]


# ---- spans --------------------------------------------------------------------------------------


def test_a_prediction_is_a_span_with_spans_of_its_stages(
    service: Service, receiver: Receiver, both: tuple[Service, Receiver]
) -> None:
    before = time.time()
    response = predict(service, **{"User-Agent": "a test", "X-Request-ID": "mine"})
    after = time.time()
    server = reported(both, response.headers)
    assert (server.name, server.kind, server.parent_id) == ("POST /v1/predict", SERVER, "")
    assert server.status == OK
    url = httpx2.URL(service.url)
    assert server.attributes == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": "/v1/predict",
        "url.scheme": "http",
        "url.path": "/v1/predict",
        "server.address": url.host,
        "server.port": url.port,
        "network.protocol.version": "1.1",
        "user_agent.original": "a test",
        "digitserve.request_id": "mine",
        "digitserve.model.name": "digits",
        "digitserve.model.version": "1",
        "digitserve.pictures": 1,
    }
    wait_until(lambda: logged(service, "mine"), service)
    assert logged(service, "mine")[0]["trace_id"] == server.trace_id
    inside = children_of(server, receiver)
    assert set(inside) == {"decode", "queue", "infer"}
    decode, queue, infer = inside["decode"], inside["queue"], inside["infer"]
    assert before - CLOCKS <= server.began <= decode.began + ROUNDING
    assert abs(decode.ended - queue.began) <= ROUNDING
    assert abs(queue.ended - infer.began) <= ROUNDING
    assert infer.ended <= server.ended + ROUNDING
    assert server.ended <= after + CLOCKS
    durations = re.findall(r"dur=([\d.]+)", response.headers["server-timing"])
    milliseconds = [(span.ended - span.began) * 1e3 for span in (decode, queue, infer)]
    assert milliseconds == pytest.approx([float(each) for each in durations], abs=0.01)
    assert queue.ended - queue.began > 0.9  # it waited for a fuller batch


def test_eight_requests_in_one_batch_are_linked_to_its_span_and_back(
    service: Service, receiver: Receiver, both: tuple[Service, Receiver]
) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(service)) for _ in range(8)]
        for client in clients[:6]:
            client.send(request())
        head = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        for client in clients[6:]:  # which takes the ASGI path
            client.send(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(SEVEN), SEVEN))
        answers = [client.answer() for client in clients]
    assert {headers["x-batch-size"] for _, headers, _ in answers} == {"8"}
    servers = [reported(both, headers) for _, headers, _ in answers]
    assert len({server.trace_id for server in servers}) == 8
    infers = [children_of(server, receiver)["infer"] for server in servers]
    ((batch_ids,),) = {tuple(infer.links) for infer in infers}

    def batches() -> list[ReceivedSpan]:
        return [span for span in receiver.named("batch") if span.span_id == batch_ids[1]]

    wait_until(batches, service)
    (batch,) = batches()
    assert (batch.trace_id, batch.parent_id) == (batch_ids[0], "")
    assert batch.trace_id not in {server.trace_id for server in servers}
    assert sorted(batch.links) == sorted((infer.trace_id, infer.span_id) for infer in infers)
    for infer in infers:
        assert (infer.began, infer.ended) == (batch.began, batch.ended)
        assert infer.attributes == batch.attributes
    assert batch.attributes == {
        "digitserve.batch.size": 8,
        "digitserve.provider": "cpu",
        "digitserve.model.name": "digits",
        "digitserve.model.version": "1",
    }


def test_tensors_are_not_decoded_and_have_no_such_span(store: Store) -> None:
    with traced(store) as both, both[0].client() as client:
        tensor = {"name": "pixels", "shape": [2, 28, 28], "datatype": "UINT8", "data": [0] * 1568}
        for path in ("/v2/models/digits/infer", "/v2/models/digits/versions/1/infer"):
            server = reported(both, client.post(path, json={"inputs": [tensor]}).headers)
            assert server.attributes["digitserve.pictures"] == 2
            assert set(children_of(server, both[1])) == {"queue", "infer"}
        # The second route is one of FastAPI, where the path comes from the client.
        assert server.name == "POST /v2/models/{model}/versions/{version}/infer"
        assert "url.path" not in server.attributes


def test_a_request_without_a_prediction_is_a_single_span(
    receiver: Receiver, both: tuple[Service, Receiver]
) -> None:
    with both[0].client() as client:
        status = reported(both, client.get("/v1/status").headers)
        nothing = reported(both, client.get("/of/my/own?secret=1").headers)
    assert (status.name, status.status) == ("GET /v1/status", OK)
    assert (nothing.name, nothing.status) == ("GET", OK)  # a client error is no server error
    assert nothing.attributes["digitserve.problem"] == "No such route"
    assert not children_of(status, receiver)
    assert "of/my/own" not in repr(receiver.spans)


def test_a_failed_request_is_an_error_with_the_title_of_its_problem(
    service: Service, both: tuple[Service, Receiver]
) -> None:
    response = predict(service, **{"X-Request-Timeout": "0.05"})  # batching takes longer
    server = reported(both, response.headers)
    assert response.json()["title"] == server.message == "Too late"
    assert server.status == ERROR
    assert server.attributes["error.type"] == "504"
    assert server.attributes["http.response.status_code"] == 504
    assert server.attributes["digitserve.problem"] == "Too late"


def test_a_disconnected_client_is_reported_as_499(service: Service, receiver: Receiver) -> None:
    with connected(service) as connection:
        connection.send(request(SEVEN, "X-Request-ID: impatient"))
        wait_until(lambda: metric(service, "queue_depth"), service)

    def spans() -> list[ReceivedSpan]:
        return [
            span
            for span in receiver.spans
            if span.attributes.get("digitserve.request_id") == "impatient"
        ]

    wait_until(spans, service)
    (server,) = spans()
    assert server.attributes["http.response.status_code"] == 499


# ---- trace context of the caller ----------------------------------------------------------------


@pytest.mark.parametrize("way", ["hot", "asgi"])
def test_a_sampled_caller_is_the_parent(way: str, store: Store) -> None:
    headers = {"Traceparent": f"00-{TRACE}-{SPAN}-01", "Tracestate": "vendor=1,other=2"}
    with traced(store, trace_sample=0) as both, both[0].client(headers=headers) as client:
        if way == "hot":
            response = client.post("/v1/predict", content=SEVEN, headers=PNG)
        else:
            response = client.get("/v1/status")
        server = reported(both, response.headers)
        assert (server.trace_id, server.parent_id) == (TRACE, SPAN)
        assert server.state == "vendor=1,other=2"


@pytest.mark.parametrize("way", ["hot", "asgi"])
def test_long_headers_of_a_caller_are_truncated_in_spans(
    way: str, service: Service, both: tuple[Service, Receiver]
) -> None:
    headers = {
        "Traceparent": f"00-{TRACE}-{SPAN}-01",
        "Tracestate": ",".join(f"vendor{number}={'x' * 250}" for number in range(20)),
        "User-Agent": "a" * 5000,
    }
    with service.client(headers=headers) as client:
        if way == "hot":
            response = client.post("/v1/predict", content=SEVEN, headers=PNG)
        else:
            response = client.get("/v1/status")
    server = reported(both, response.headers)
    assert (server.parent_id, server.state) == (SPAN, "")
    assert server.attributes["user_agent.original"] == "a" * 256


def test_an_unsampled_caller_is_not_traced(
    service: Service, receiver: Receiver, both: tuple[Service, Receiver]
) -> None:
    unsampled = {"Traceparent": f"00-{TRACE[::-1]}-{SPAN}-00"}
    assert "traceresponse" not in predict(service, **unsampled).headers
    with service.client(headers=unsampled) as client:
        assert "traceresponse" not in client.get("/v1/status").headers
        after = client.get("/v1/status", headers={"Traceparent": ""})
    reported(both, after.headers)
    assert TRACE[::-1] not in {span.trace_id for span in receiver.spans}


@pytest.mark.parametrize(
    "lines",
    [
        [f"Traceparent: 00-{TRACE}-{SPAN}"],
        [f"Traceparent: 00-{TRACE}-{SPAN}-01", f"Traceparent: 00-{TRACE}-{SPAN}-01"],
    ],
)
def test_an_invalid_trace_context_is_ignored(
    lines: list[str], service: Service, both: tuple[Service, Receiver]
) -> None:
    with connected(service) as connection:
        connection.send(request(SEVEN, *lines, "Tracestate: vendor=1"))
        server = reported(both, connection.answer()[1])
    assert server.trace_id != TRACE
    assert (server.parent_id, server.state) == ("", "")


def test_no_request_is_traced_at_a_fraction_of_0(store: Store) -> None:
    with traced(store, trace_sample=0) as (service, receiver):
        with service.client() as client:
            assert all("traceresponse" not in client.get("/livez").headers for _ in range(50))
            sampled = {"Traceparent": f"00-{TRACE}-{SPAN}-01"}
            last = client.get("/livez", headers=sampled).headers
        reported((service, receiver), last)
        assert len(receiver.spans) == 1


def test_sampled_callers_cannot_exceed_the_limit_of_traces(store: Store) -> None:
    sampled = {"Traceparent": f"00-{TRACE}-{SPAN}-01"}
    with traced(store, trace_sample=0, trace_limit=1) as (service, _):
        began = time.monotonic()
        with service.client(headers=sampled) as client:
            answers = [client.get("/livez") for _ in range(100)]
        allowed = sum("traceresponse" in answer.headers for answer in answers)
        assert 1 <= allowed <= 2 + (time.monotonic() - began)
        assert metric(service, 'spans_dropped_total{reason="limit"}') == 100 - allowed


def test_pages_of_other_origins_may_use_trace_context(store: Store) -> None:
    page = {"Origin": "https://shop.example"}
    with (
        traced(store, cors_origins="https://shop.example") as (service, _),
        service.client(headers=page) as client,
    ):
        answer = client.get("/v1/status")
        assert "traceresponse" in answer.headers["access-control-expose-headers"].lower()
        preflight = {"Access-Control-Request-Method": "POST"}
        for header in ("traceparent", "tracestate"):
            preflight["Access-Control-Request-Headers"] = header
            assert client.options("/v1/predict", headers=preflight).status_code == 200


# ---- export -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_workers_export_separately_and_their_counts_add_up(store: Store) -> None:
    with traced(store, workers=2, drain_seconds=0) as (service, receiver):

        def both_have_exported() -> bool:
            with ThreadPoolExecutor(4) as pool:
                assert {each.status_code for each in pool.map(lambda _: predict(service), "1234")}
            return {span.resource["digitserve.worker"] for span in receiver.spans} == {0, 1}

        wait_until(both_have_exported, service)
        # Each scrape is traced too, so the counter lags behind by the spans not yet sent.
        wait_until(
            lambda: len(receiver.spans) - counted(service, "spans_exported_total") < 5, service
        )
        assert counted(service, "spans_exported_total") >= 8
        resources = [span.resource for span in receiver.spans]
        assert {resource["service.name"] for resource in resources} == {"digitserve"}
        assert len({resource["service.instance.id"] for resource in resources}) == 2
        assert len({resource["process.pid"] for resource in resources} - {os.getpid()}) == 2


def test_the_standard_variables_set_service_name_and_exporter_headers(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.version=7")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer hush,hush-hush")
    with traced(store, log_level="debug") as (service, receiver):
        wait_until(lambda: predict(service) and receiver.spans, service)
        path, headers = receiver.heads[0]
        assert (path, headers["authorization"]) == ("/v1/traces", "Bearer hush")
        assert headers["content-type"] == "application/x-protobuf"
        resource = receiver.spans[0].resource
        assert (resource["service.name"], resource["service.version"]) == (
            "shop",
            "7",
        )
        assert "hush" not in service.log


def test_automatic_instrumentation_stays_off_whatever_variables_say(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    with Receiver() as other:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", other.url)
        with traced(store, drain_seconds=0) as (service, receiver):
            with service.client() as client:
                assert client.get("/v1/status").status_code == 200
            service.send(signal.SIGTERM)
            assert service.exit_code() == 0
        assert [span.name for span in receiver.spans] == ["GET /v1/status"]
        assert other.heads == []


# ---- missing packages ---------------------------------------------------------------------------


@pytest.fixture
def _not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python processes find neither the OpenTelemetry SDK nor its HTTP client."""
    code = (
        "import sys\n"
        "for name in ('sdk', 'exporter', 'proto'):\n"  # the API comes with FastAPI
        "    sys.modules['opentelemetry.' + name] = None\n"  # marks a module as missing
        "sys.modules['requests'] = None\n"
    )
    (tmp_path / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.usefixtures("_not_installed")
@pytest.mark.parametrize("workers", [1, slow(2)])
def test_without_an_endpoint_no_tracing_package_is_needed(store: Store, workers: int) -> None:
    with Service.started(store.folder.parent, workers=workers, drain_seconds=0) as service:
        answer = predict(service, Traceparent=f"00-{TRACE}-{SPAN}-01")
        assert answer.status_code == 200
        assert "traceresponse" not in answer.headers


@pytest.mark.usefixtures("_not_installed")
@pytest.mark.parametrize("workers", [1, slow(2)])
def test_with_an_endpoint_the_start_fails_and_says_what_to_install(
    store: Store, workers: int
) -> None:
    settings = {"otlp_endpoint": "http://localhost:4318", "workers": workers}
    service = Service(store.folder.parent, **settings)
    assert service.exit_code() == 2
    assert "Traceback" not in service.log
    assert "DIGITSERVE_OTLP_ENDPOINT asks for traces" in service.log
    assert "pip install --constraint constraints.txt --group tracing" in service.log
