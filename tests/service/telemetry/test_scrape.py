"""GET /metrics in both formats, plain and compressed, on both request paths."""

import gzip
import time
import zlib
from collections.abc import Callable, Iterable, Iterator

import httpx2
import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser
from prometheus_client.parser import text_string_to_metric_families as text_format
from prometheus_client.samples import Exemplar

from contract.store import Store
from contract.version import Version
from service.api.metrics import OPENMETRICS, SHARED, TEXT
from service.telemetry.metrics.registry import SECONDS as BOUNDS
from tests.support import fetch
from tests.support.connection import connected
from tests.support.marks import slow
from tests.support.metrics import metric, settle
from tests.support.pictures import SEVEN
from tests.support.running import Service

PROMETHEUS = "application/openmetrics-text; version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2"
# On the fast path and through ASGI: both must give the same response.
PATHS = ("/metrics", "/%6detrics")
DURATION = "digitserve_http_request_duration_seconds"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACED = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}


def scrape(service: Service, path: str = "/metrics", **headers: str) -> httpx2.Response:
    """Without the default headers of the client."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with service.client() as client:
        client.headers.clear()
        return client.get(path, headers=named)


def predict(service: Service, **headers: str) -> None:
    fetch.post(f"{service.url}/v1/predict", content=SEVEN, headers=headers).raise_for_status()


def by_name(families: Iterable[Metric]) -> dict[str, Metric]:
    return {family.name: family for family in families}


def openmetrics(text: str) -> dict[str, Metric]:
    families: Iterable[Metric] = parser.text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    return by_name(families)


@pytest.fixture(params=[1, slow(2)], ids=["one process", "two workers"])
def traced(request: pytest.FixtureRequest, published: tuple[Store, Version]) -> Iterator[Service]:
    """Traces go nowhere; a request is traced if its caller is sampled."""
    nowhere = "http://127.0.0.1:9"
    with Service.started(
        published[0].folder.parent, otlp_endpoint=nowhere, trace_sample=0, workers=request.param
    ) as service:
        yield service


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ({}, TEXT),
        ({"Accept": "*/*"}, TEXT),
        ({"Accept": "text/html"}, TEXT),
        ({"Accept": PROMETHEUS}, OPENMETRICS),
        ({"Accept": "application/openmetrics-text;q=0,*/*"}, TEXT),
    ],
)
def test_the_format_is_the_one_that_the_client_prefers(
    service: Service, path: str, accept: dict[str, str], kind: str
) -> None:
    answer = scrape(service, path, **accept)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["Vary"].lower() == "accept, accept-encoding"
    assert answer.text.endswith("# EOF\n") == (kind == OPENMETRICS)


def test_the_accept_header_may_be_sent_in_several_lines(service: Service) -> None:
    lines = [("Accept", "text/plain;q=0.1"), ("Accept", "application/openmetrics-text")]
    with service.client() as client:
        assert client.get("/metrics", headers=lines).headers["Content-Type"] == OPENMETRICS


def test_both_formats_have_the_same_content(service: Service) -> None:
    predict(service)
    plain = by_name(text_format(scrape(service).text))
    named = openmetrics(scrape(service, Accept=PROMETHEUS).text)
    assert {*plain} == {*named}
    for name, family in named.items():
        assert family.type == plain[name].type
        assert family.documentation == plain[name].documentation
        series = [(sample.name, sample.labels) for sample in family.samples]
        assert series == [(sample.name, sample.labels) for sample in plain[name].samples]
    assert "# TYPE digitserve_http_requests counter" in scrape(service, Accept=PROMETHEUS).text


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
@pytest.mark.parametrize(
    ("accepted", "coding", "decompress"),
    [
        ("gzip", "gzip", gzip.decompress),
        ("x-gzip", "gzip", gzip.decompress),
        ("gzip;q=0.1, deflate;q=0.2, br", "deflate", zlib.decompress),
        ("gzip;q=0, identity", None, bytes),
        ("identity, gzip;q=0.5", None, bytes),
    ],
)
def test_the_compression_is_the_one_that_the_client_prefers(
    service: Service,
    path: str,
    accept: str,
    accepted: str,
    coding: str | None,
    decompress: Callable[[bytes], bytes],
) -> None:
    headers = {"Accept": accept, "Accept-Encoding": accepted}
    with service.client() as client, client.stream("GET", path, headers=headers) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers.get("Content-Encoding") == coding
    assert int(answer.headers["Content-Length"]) == len(raw)
    content = decompress(raw)
    assert content.startswith(b"# HELP ")
    assert content.endswith(b"# EOF\n") == (accept == OPENMETRICS)
    assert coding is None or len(raw) < len(content) / 4


@pytest.mark.parametrize("coding", ["identity", "gzip"])
@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
def test_scrapes_within_a_tenth_of_a_second_share_one_text(
    service: Service, accept: str, coding: str
) -> None:
    """Each scrape counts itself, so texts of separate collections would differ."""
    head = f"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nAccept-Encoding: {coding}\r\n"
    bodies = set[bytes]()
    with connected(service) as connection:
        began = time.monotonic()
        connection.send(f"{head}\r\n".encode() * 50)
        for _ in range(50):
            status, _, body = connection.answer()
            assert status == 200
            bodies.add(body)
        passed = time.monotonic() - began
    assert len(bodies) <= 2 + passed / SHARED  # one of them may be from before


def test_a_scrape_is_at_most_a_tenth_of_a_second_old(service: Service) -> None:
    name = 'http_requests_total{code="200",method="GET",route="/metrics"}'
    metric(service, name)
    counts = [metric(service, name) for _ in range(3)]  # which waits that long before each request
    assert counts == [counts[0], counts[0] + 1, counts[0] + 2]


def exemplars(service: Service) -> list[tuple[dict[str, str], Exemplar]]:
    """The exemplars with the labels of their buckets."""
    family = openmetrics(scrape(service, Accept=PROMETHEUS).text)[DURATION]
    return [(each.labels, each.exemplar) for each in family.samples if each.exemplar]


def test_a_traced_request_is_the_exemplar_of_its_bucket(traced: Service) -> None:
    """On the worker that is scraped: each exports its own, and another one may have answered."""
    predict(traced)
    settle(traced)
    assert exemplars(traced) == []  # this request is not traced
    with traced.client() as client:  # one connection, and therefore one worker
        client.post("/v1/predict", content=SEVEN, headers=TRACED).raise_for_status()
        client.get("/livez", headers=TRACED)
        text = client.get("/metrics", headers={"Accept": PROMETHEUS}).text
        assert TRACE not in client.get("/metrics").text
    buckets = [each for each in openmetrics(text)[DURATION].samples if each.exemplar]
    reported = {each.labels["route"]: each for each in buckets}
    assert {*reported} == {"/v1/predict", "/livez"}
    assert (reported["/v1/predict"].labels["version"], reported["/livez"].labels["version"]) == (
        "1",
        "none",
    )
    for bucket in buckets:
        exemplar = bucket.exemplar
        assert exemplar is not None
        assert exemplar.labels == {"trace_id": TRACE}
        below = [0.0, *BOUNDS, float("inf")]
        bound = float(bucket.labels["le"])
        assert below[below.index(bound) - 1] < exemplar.value <= bound
        assert bucket.value >= 1
