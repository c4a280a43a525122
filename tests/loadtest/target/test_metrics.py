"""/metrics is interpreted as by Prometheus."""

import pytest

from loadtest.target.metrics import Exposition
from tests.support.running import Service

BEFORE = """\
# HELP answers_total Answers
# TYPE answers_total counter
answers_total{code="200",route="/a"} 10.0
answers_total{code="503",route="/a"} 1.0
depth 3.0
"""
AFTER = """\
answers_total{code="200",route="/a"} 25.0
answers_total{code="503",route="/a"} 1.0
answers_total{code="200",route="/b"} 5.0
depth 7.0
"""
TIMES = """\
seconds_bucket{le="0.1",route="/a"} 0.0
seconds_bucket{le="1.0",route="/a"} 80.0
seconds_bucket{le="2.0",route="/a"} 90.0
seconds_bucket{le="+Inf",route="/a"} 100.0
seconds_count{route="/a"} 100.0
seconds_sum{route="/a"} 70.0
seconds_bucket{le="0.1",route="/b"} 100.0
seconds_bucket{le="+Inf",route="/b"} 100.0
"""


def test_a_counter_is_summed_over_unspecified_labels() -> None:
    reported = Exposition.read(AFTER)
    assert reported.total("answers_total") == 31
    assert reported.total("answers_total", code="200") == 30
    assert reported.total("answers_total", code="404") == reported.total("no_such") == 0
    assert reported.by("answers_total", "code") == {"200": 30, "503": 1}
    assert reported.by("answers_total", "route", code="200") == {"/a": 25, "/b": 5}


def test_an_increase_is_the_difference_of_two_scrapes() -> None:
    meanwhile = Exposition.read(AFTER).since(Exposition.read(BEFORE))
    assert meanwhile.by("answers_total", "route") == {"/a": 15, "/b": 5}


def test_the_increase_of_a_restarted_counter_is_not_negative() -> None:
    meanwhile = Exposition.read(BEFORE).since(Exposition.read(AFTER))
    assert meanwhile.total("answers_total", code="200") == 10


@pytest.mark.parametrize(
    ("q", "seconds"), [(0.4, 0.1 + 0.9 * 40 / 80), (0.8, 1.0), (0.85, 1.5), (0.99, 2.0)]
)
def test_a_quantile_is_interpolated_and_at_most_the_last_bound(q: float, seconds: float) -> None:
    assert Exposition.read(TIMES).quantile("seconds", q, route="/a") == pytest.approx(seconds)


def test_the_series_of_a_histogram_are_summed_first() -> None:
    reported = Exposition.read(TIMES)
    assert reported.quantile("seconds", 0.5) == 0.1
    assert reported.mean("seconds") == 0.7


def test_an_empty_histogram_gives_0() -> None:
    nothing = Exposition.read(TIMES).since(Exposition.read(TIMES))
    assert (nothing.mean("seconds"), nothing.quantile("seconds", 0.99)) == (0, 0)
    assert Exposition({}).quantile("seconds", 0.5) == 0


def test_all_metrics_of_the_service_are_parsed(service: Service) -> None:
    with service.client() as client:
        client.get("/v1/samples/random")
        reported = Exposition.read(client.get("/metrics").text)
    route = "/v1/samples/random"
    assert reported.total("digitserve_http_requests_total", route=route, code="200") >= 1
    assert 0 < reported.quantile("digitserve_http_request_duration_seconds", 0.5, route=route) < 10
    assert reported.by("digitserve_shed_total", "reason").keys() >= {"queue_full"}
