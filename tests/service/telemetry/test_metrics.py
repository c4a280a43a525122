"""What the metrics count, and under which labels."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from contract.card import Acceptance, NonDigits
from contract.store import Store
from contract.version import Version
from service.tensors import Pixels
from tests.support import fetch
from tests.support.connection import connected, request
from tests.support.forms import part, post_parts
from tests.support.metrics import counted, exposition, metric
from tests.support.pictures import SEVEN
from tests.support.running import Service
from tests.support.tensors import HEADER, client_of, document, inputs_of, post
from tests.support.versions import publish, two_versions, warmer

UNCERTAIN = "predictions_uncertain_total"
PNG = {"Content-Type": "image/png"}


@pytest.fixture
def service(published: tuple[Store, Version]) -> Iterator[Service]:
    """A service without any requests so far."""
    with Service.started(published[0].folder.parent, max_queue=300) as service:
        yield service


@pytest.fixture
def doubtful(published: tuple[Store, Version], tmp_path: Path) -> Iterator[Service]:
    """A service whose card accepts no answer."""
    store = two_versions(published, tmp_path)
    none = Acceptance(
        threshold=1.0,
        wanted=0.999,
        validation_accepted=0.0,
        validation_accuracy=None,
        test_accepted=0.0,
        test_accuracy=None,
    )
    store.activate(publish(store, published[1], acceptance=none))
    with Service.started(store.folder.parent) as service:
        yield service


def predict(service: Service, query: str = "") -> None:
    url = f"{service.url}/v1/predict{query}"
    assert fetch.post(url, content=SEVEN, headers=PNG).status_code == 200


def values_of(service: Service) -> dict[str, set[str]]:
    """Label -> all its values."""
    values: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(exposition(service)):
        for sample in family.samples:
            for label, value in sample.labels.items():
                values.setdefault(label, set()).add(value)
    return values


# ---- counts --------------------------------------------------------------------------------------


def test_answers_below_the_threshold_of_the_request_are_counted(service: Service) -> None:
    assert counted(service, UNCERTAIN) == 0
    predict(service, "?threshold=1")
    predict(service, "?threshold=0")
    post_parts(service, part(SEVEN), part(SEVEN))
    assert counted(service, UNCERTAIN) == 1
    images = {"images": [b64encode(SEVEN).decode()] * 3}
    fetch.post(f"{service.url}/v1/predict?threshold=1", json=images).raise_for_status()
    assert counted(service, UNCERTAIN) == 4


def test_uncertain_answers_are_counted_by_reason(
    published: tuple[Store, Version], tmp_path: Path
) -> None:
    recognised = NonDigits(
        threshold=0.9, wanted=0.02, validation=1000, validation_accepted=0.02,
        validation_refused=0.01, test=1000, test_accepted=0.02, test_refused=0.01,
    )  # fmt: skip
    store = two_versions(published, tmp_path)
    unsure = publish(store, published[1], warmer(50), non_digits=recognised)
    store.activate(publish(store, published[1], non_digits=recognised))
    with Service.started(store.folder.parent) as service:
        predict(service, "?threshold=1")
        assert metric(service, f'{UNCERTAIN}{{reason="low_confidence"}}') == 1
        assert metric(service, f'{UNCERTAIN}{{reason="not_one_digit"}}') == 0
    store.activate(unsure)
    with Service.started(store.folder.parent) as service:
        predict(service)
        assert metric(service, f'{UNCERTAIN}{{reason="low_confidence"}}') == 0
        assert metric(service, f'{UNCERTAIN}{{reason="not_one_digit"}}') == 1


def test_answers_below_the_threshold_of_the_card_are_counted_on_both_apis(
    doubtful: Service, pixels: Pixels
) -> None:
    predict(doubtful)
    assert counted(doubtful, UNCERTAIN) == 1
    predict(doubtful, "?threshold=0")
    assert counted(doubtful, UNCERTAIN) == 1
    with client_of(doubtful) as client:
        client.infer("digits", inputs_of(pixels[:5]))
    assert counted(doubtful, UNCERTAIN) == 6


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("", "/v2/models/digits/infer"),
        ("/versions/1", "/v2/models/{model}/versions/{version}/infer"),
    ],
)
def test_a_deadline_set_by_the_client_is_counted_by_route_and_not_as_shed(
    service: Service, path: str, route: str
) -> None:
    head = document(parameters={"timeout": 1})
    own = f'client_deadline_total{{route="{route}"}}'
    before = counted(service, own), counted(service, "shed_total")
    answer = post(service, head + bytes(784), path, **{HEADER: len(head)})
    assert answer.status_code == 504
    assert (counted(service, own), counted(service, "shed_total")) == (before[0] + 1, before[1])


@pytest.mark.slow
def test_the_queue_limit_is_the_sum_over_workers(
    service: Service, published: tuple[Store, Version]
) -> None:
    assert metric(service, "queue_limit") == 300
    folder = published[0].folder.parent
    with Service.started(folder, workers=2, max_queue=300) as two:
        assert metric(two, "queue_limit") == 600


# ---- labels --------------------------------------------------------------------------------------


def test_series_of_alerts_exist_from_the_start(service: Service) -> None:
    """A series that starts at 1 would show no increase."""
    lines = exposition(service).splitlines()
    for name, label, values in (
        (
            "shed",
            "reason",
            (
                "buffer_full",
                "queue_full",
                "deadline_unreachable",
                "deadline_passed",
                "connections",
            ),
        ),
        ("client_deadline", "route", ("/v1/predict", "/v2/models/digits/infer")),
        ("cancelled", "stage", ("body", "decode", "queue", "model")),
        ("engine_fallback", "what", ("provider", "precision", "cuda_graph")),
        ("model_swap", "result", ("swapped", "failed_verify", "failed_load", "failed_golden")),
    ):
        for value in values:
            assert f'digitserve_{name}_total{{{label}="{value}"}} 0.0' in lines


def test_no_text_from_a_client_becomes_a_label(service: Service) -> None:
    with service.client() as client:
        paths = client.get("/openapi.json").json()["paths"]
        for path in (
            "/a",
            "/v1/predict/",
            "/v2/models/x/infer",
            "/v1/samples/random?label=evil",
            "/v1/models/evil/versions/9",
            "/metrics/%22%7D",
            "/v1/../evil",
            "/docs/evil",
        ):
            client.get(path)
            client.post(path, content=b"{}", headers={"X-Request-ID": "evil"})
        for method in ("BREW", "TRACE", "CONNECT", "get"):
            client.request(method, "/v1/predict")
        client.post("/v1/predict", content=SEVEN, headers=PNG | {"X-API-Key": "evil"})
        client.post("/v2/models/digits/infer", content=b"evil")
        client.post("/v2/repository/models/evil/load", content=b"{}")
    with connected(service) as connection:
        connection.send(request(SEVEN, "Transfer-Encoding: evil"))
        connection.answer()
    values = values_of(service)
    assert values["route"] <= {*paths, "other", "/v2/models/digits/infer", "/docs"}
    assert values["method"] <= {"GET", "POST", "OPTIONS", "TRACE", "other"}
    assert all(code.isdecimal() and len(code) == 3 for code in values["code"])
    assert values["label"] <= set("0123456789")
    assert values["provider"] == {"cpu"}
    assert not [value for value in set().union(*values.values()) if "evil" in value.lower()]
