"""The images of requests are counted in the bins of the card of the version that serves."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from contract.card import DigitPreparation, Histogram
from contract.store import Store
from contract.version import Version
from preprocessing.statistics import Pixels, counts_by_bin, statistics_of
from service.telemetry.metrics.inputs import SAMPLED, Expected
from service.telemetry.metrics.registry import Metrics
from tests.fixtures import Judged
from tests.support import fetch
from tests.support.marks import slow
from tests.support.metrics import exposition, settle
from tests.support.program import PATIENCE
from tests.support.running import ADMIN, TOKEN, Service
from tests.support.shared_memory import workers
from tests.support.tensors import client_of, inputs_of
from tests.support.versions import LETTERS, publish, two_versions

AT_ONCE = SAMPLED // 784  # digits that are sampled in a second
Counted = dict[str, dict[str, dict[str, float]]]  # version -> quantity -> bin -> value


def read(text: str, name: str) -> Counted:
    found: Counted = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == f"digitserve_{name}":
                labels = sample.labels
                bins = found.setdefault(labels["version"], {})
                bins.setdefault(labels["quantity"], {})[labels["bin"]] = sample.value
    return found


def images(service: Service) -> Counted:
    settle(service)
    return read(exposition(service), "input_images_total")


def infer(service: Service, pixels: Pixels) -> None:
    with client_of(service) as client:
        client.infer("digits", inputs_of(pixels))


@pytest.fixture(params=[1, slow(2)], ids=["one process", "two workers"])
def serving(
    request: pytest.FixtureRequest, published: tuple[Store, Version], tmp_path: Path
) -> Iterator[Service]:
    """1 serves, 2 has letters as labels."""
    models = two_versions(published, tmp_path).folder.parent
    with Service.started(models, admin_token=TOKEN, workers=request.param) as service:
        yield service


def activate(service: Service, version: int) -> None:
    url = f"{service.url}/v1/models/digits/versions/{version}/activate"
    fetch.post(url, headers=ADMIN, timeout=PATIENCE).raise_for_status()


def test_the_distributions_on_the_card_are_exposed(service: Service, version: Version) -> None:
    assert version.card.inputs is not None
    shares = read(exposition(service), "expected_share")
    assert {*shares} == {"1"}
    assert {*shares["1"]} == {"ink_share", "stroke_width", "confidence", "label"}
    for quantity, histogram in version.card.inputs.items():
        assert tuple(shares["1"][quantity].values()) == histogram.shares


def test_the_first_images_of_a_second_are_counted_in_the_same_bins(
    serving: Service, version: Version, judged: Judged
) -> None:
    assert version.card.inputs is not None
    infer(serving, judged.pixels)
    counted = images(serving)["1"]
    pixels, digits = judged.pixels[:AT_ONCE], judged.digits[:AT_ONCE]
    values = statistics_of(pixels, DigitPreparation()) | {
        "label": digits,
        "confidence": judged.probabilities[:AT_ONCE].max(1),
    }
    assert {*counted} == {*values}
    for quantity, of_images in values.items():
        expected = counts_by_bin(of_images, version.card.inputs[quantity].edges)
        assert [*counted[quantity].values()] == expected
    assert counted["label"]["7"] == (digits == 7).sum()


def test_a_switch_mixes_no_two_versions(serving: Service, judged: Judged) -> None:
    infer(serving, judged.pixels[:20])
    assert sum(images(serving)["1"]["label"].values()) == 20
    activate(serving, 2)
    infer(serving, judged.pixels[:30])
    counted = images(serving)
    assert sum(counted["1"]["label"].values()) == 20
    assert sum(counted["2"]["label"].values()) == 30
    assert {*counted["2"]["label"]} == {*LETTERS}
    assert {*read(exposition(serving), "expected_share")} == {"2"}


def test_a_card_without_distributions_has_no_series(
    published: tuple[Store, Version], judged: Judged, tmp_path: Path
) -> None:
    store = Store(tmp_path / "models", "digits")
    store.activate(publish(store, published[1], inputs=None))
    with Service.started(store.folder.parent) as service:
        infer(service, judged.pixels[:10])
        assert images(service) == {}
        assert read(exposition(service), "expected_share") == {}


# ---- series of many versions ------------------------------------------------------------------


def expected(version: int, **inputs: Histogram) -> Expected:
    inputs = inputs or {"ink_share": Histogram(edges=(0.1, 0.2), shares=(0.25, 0.5, 0.25))}
    return Expected(version, DigitPreparation(), ["cat", "dog"], inputs)


def reported(metrics: Metrics, name: str = "input_images_total") -> Counted:
    return read(metrics.exposition().decode(), name)


@pytest.fixture(params=["alone", "worker"])
def metrics(request: pytest.FixtureRequest) -> Metrics:
    return Metrics(workers(1)[0]) if request.param == "worker" else Metrics()


def recorded(metrics: Metrics, version: int, count: int = 1) -> None:
    pixels = np.zeros((count, 28, 28), np.uint8)
    metrics.inputs.record(version, pixels, [0] * count, [1.0] * count)


def test_all_bins_begin_at_0(metrics: Metrics) -> None:
    metrics.inputs.serves(expected(1))
    bins = {"up to 0.1": 0, "0.1 to 0.2": 0, "above 0.2": 0}
    assert reported(metrics) == {"1": {"ink_share": bins}}


def test_only_the_last_two_versions_have_series(metrics: Metrics) -> None:
    for version in range(1, 20):
        metrics.inputs.serves(expected(version))
        recorded(metrics, version, version)
    assert {*reported(metrics)} == {"18", "19"}
    assert {*reported(metrics, "expected_share")} == {"19"}
    assert reported(metrics)["18"]["ink_share"]["up to 0.1"] == 18


def test_a_version_that_does_not_serve_is_not_counted(metrics: Metrics) -> None:
    metrics.inputs.serves(expected(1))
    metrics.inputs.serves(expected(2))
    recorded(metrics, 1)  # a batch that was still running
    recorded(metrics, 7)
    assert reported(metrics)["1"]["ink_share"]["up to 0.1"] == 0
    assert reported(metrics)["2"]["ink_share"]["up to 0.1"] == 0


def test_a_replacement_worker_continues_the_counts() -> None:
    memory, seen_by = workers(1)[0], {}
    for life in range(2):
        metrics = Metrics(memory)
        metrics.inputs.serves(expected(1))
        recorded(metrics, 1)
        seen_by[life] = reported(metrics)["1"]["ink_share"]["up to 0.1"]
    assert seen_by == {0: 1, 1: 2}


def test_a_quantity_that_this_release_does_not_know_stays_at_0(metrics: Metrics) -> None:
    metrics.inputs.serves(expected(1, smell=Histogram(edges=(0.5,), shares=(0.5, 0.5))))
    recorded(metrics, 1)
    assert reported(metrics)["1"]["smell"] == {"up to 0.5": 0, "above 0.5": 0}


def test_a_quantity_that_is_always_the_same_has_one_or_two_bins(metrics: Metrics) -> None:
    metrics.inputs.serves(
        expected(
            1,
            ink_share=Histogram(edges=(0,), shares=(1, 0)),
            label=Histogram(edges=(), shares=(1,)),
        )
    )
    recorded(metrics, 1)
    counted = reported(metrics)["1"]
    assert counted == {"ink_share": {"up to 0": 1, "above 0": 0}, "label": {"all": 1}}
