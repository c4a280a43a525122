"""Routes for operators: probes, status, metrics, documentation."""

import re
from base64 import b64encode
from hashlib import sha256
from typing import Any

import pytest

from contract.version import Version
from tests.support.pictures import encoded, seven
from tests.support.running import Service


def get(service: Service, path: str) -> Any:
    with service.client() as client:
        return client.get(path)


def test_probes_succeed_while_the_service_serves(service: Service) -> None:
    assert get(service, "/livez").json() == {"alive": True}
    assert get(service, "/readyz").json() == {"ready": True}


def test_the_status_has_version_provider_and_start_time(service: Service, version: Version) -> None:
    status, card = get(service, "/v1/status").json(), version.card
    assert status["model"]["version"] == "1"
    assert status["model"]["sha256"] == version.card.files["model.onnx"].sha256
    assert card.evaluation is not None
    assert status["model"]["test_accuracy"] == card.evaluation.accuracy
    assert status["model"]["labels"] == 10
    assert status["model"]["input"] == {"height": 28, "width": 28, "channels": 1}
    assert (status["model"]["preparation"], status["model"]["imported"]) == ("digit", False)
    assert status["provider"] == "cpu"
    assert status["provider_fallback"] is False
    assert status["engine"] == {
        "asked": "auto",
        "precision": "fp32",
        "artifact": "model.onnx",
        "way": "plain",
        "cuda_graphs": False,
        "buckets": [],
        "nodes": {"CPUExecutionProvider": status["engine"]["nodes"]["CPUExecutionProvider"]},
        "fallbacks": [],
    }
    assert status["batching"] == {"max_batch": 64, "max_wait": 0.0, "max_queue": 1024}
    assert status["queue_depth"] == 0
    assert status["draining"] is False
    assert status["uptime_seconds"] > 0


def samples(service: Service) -> dict[str, float]:
    """The metrics of the running service: `name{labels}` -> value."""
    response = get(service, "/metrics")
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = (line for line in response.text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_metrics_count_requests_and_predictions(service: Service) -> None:
    before = samples(service)
    with service.client(headers={"Content-Type": "image/png"}) as client:
        client.post("/v1/predict", content=encoded(seven()))
        client.post("/v1/predict", content=b"nonsense")
        client.get("/no/such/route")
    after = samples(service)

    def more(name: str) -> float:
        return after.get(f"digitserve_{name}", 0) - before.get(f"digitserve_{name}", 0)

    requests = 'http_requests_total{{code="{}",method="{}",route="{}"}}'
    assert more(requests.format(200, "POST", "/v1/predict")) == 1
    assert more(requests.format(422, "POST", "/v1/predict")) == 1
    assert more(requests.format(404, "GET", "other")) == 1
    seconds = 'http_request_duration_seconds_count{{route="/v1/predict",version="{}"}}'
    assert more(seconds.format(1)) == 1
    assert more(seconds.format("none")) == 1  # no model answered
    assert more("decode_seconds_count") == 1
    assert more("queue_wait_seconds_count") == 1
    assert more('inference_seconds_count{provider="cpu"}') == 1
    assert more("batch_size_count") == 1
    assert more('predictions_total{label="7"}') == 1
    assert more("prediction_confidence_count") == 1
    assert after["digitserve_queue_depth"] == 0
    assert after["digitserve_inflight_requests"] == 1  # the scrape itself
    assert after["digitserve_provider_fallback"] == 0
    assert after["process_resident_memory_bytes"] > 0


def test_metrics_have_the_serving_model(service: Service, version: Version) -> None:
    sha256 = version.card.files["model.onnx"].sha256
    labels = f'name="digits",provider="cpu",sha256="{sha256}",version="1"'
    assert samples(service)[f"digitserve_model_info{{{labels}}}"] == 1


def test_unknown_paths_and_methods_create_no_new_series(service: Service) -> None:
    with service.client() as client:
        for path in ("/a", "/b", "/c"):
            client.get(path)
        client.request("BREW", "/v1/predict")
    names = [name for name in samples(service) if "http_requests_total" in name]
    assert not [name for name in names if re.search(r'"(/[abc]|BREW)"', name)]


def test_the_problem_of_an_unknown_route_refers_to_the_documentation(service: Service) -> None:
    response = get(service, "/v1/nothing")
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert "/docs" in response.json()["detail"]
    assert response.json()["request_id"] == response.headers["X-Request-ID"]


def test_a_wrong_method_on_an_ordinary_route_is_a_problem(service: Service) -> None:
    with service.client() as client:
        response = client.post("/livez")
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert response.headers["Content-Type"] == "application/problem+json"


def test_the_documentation_page_loads_nothing_from_elsewhere(service: Service) -> None:
    page = get(service, "/docs")
    assert page.status_code == 200
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert sources
    for source in sources:
        assert "//" not in source
        assert get(service, f"/{source}").status_code == 200


def test_the_documentation_page_has_a_strict_content_security_policy(service: Service) -> None:
    page = get(service, "/docs")
    policy = dict(
        part.split(" ", 1) for part in page.headers["Content-Security-Policy"].split("; ")
    )
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    scripts = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    digests = [b64encode(sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = {"'self'", *(f"'sha256-{digest}'" for digest in digests)}
    assert {*policy["script-src"].split()} == allowed
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/docs", "/livez", "/nowhere", "/v1/predict", "/v2/nowhere"])
def test_responses_are_not_sniffed_as_another_type(service: Service, path: str) -> None:
    assert get(service, path).headers["X-Content-Type-Options"] == "nosniff"
