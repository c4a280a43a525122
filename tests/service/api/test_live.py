"""GET /v1/live reports correct numbers, delays no other request, and ends with the service."""

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise

import httpx2
import pytest

from contract.store import Store
from contract.version import Version
from service.api.live.stream import RATES
from tests.support import fetch
from tests.support.connection import connected, request
from tests.support.forms import part, post_parts
from tests.support.marks import slow
from tests.support.metrics import metric
from tests.support.pictures import SEVEN
from tests.support.problems import problem
from tests.support.program import PATIENCE
from tests.support.running import Service, two_workers, wait_to_read, wait_until
from tests.support.watching import Event, events_of, until, watching

ANSWERED = 'http_requests_total{code="200",method="GET",route="/v1/live"}'
TOOK = 'http_request_duration_seconds_sum{route="/v1/live",version="none"}'


@pytest.fixture
def narrow(published: tuple[Store, Version]) -> Iterator[Service]:
    with Service.started(published[0].folder.parent, max_watchers=2, request_timeout=1) as service:
        yield service


def watchers(service: Service) -> float:
    return metric(service, "live_watchers")


def post(service: Service, times: int, content: bytes = SEVEN) -> None:
    """Over separate connections, so that any worker may answer."""
    for _ in range(times):
        with connected(service) as connection:
            connection.send(request(content))
            connection.answer()


def amount(events: list[Event], rate: str) -> int:
    """The number of events computed from the rates, which start anew every RATES events."""
    each = [event[f"{rate}_per_second"] * event["seconds"] for event in events[RATES::RATES]]
    return round(float(sum(each)))


def calls_of(event: Event) -> dict[int | None, int]:
    """Calls by the upper bound of their batch size."""
    return {each["most"]: each["calls"] for each in event["batches"] if each["calls"]}


def some_load(service: Service) -> None:
    post(service, 40)
    for _ in range(5):
        post_parts(service, part(SEVEN), part(SEVEN), part(SEVEN))
    post(service, 3, b"no picture")
    for path in ("/metrics", "/livez", "/v1/status", "/v1/predict"):
        fetch.get(f"{service.url}{path}")


def watched_load(service: Service) -> list[Event]:
    """The events around `some_load`; the last of them is when its rates are back to zero."""
    with watching(service) as events:
        seen = [next(events)]
        some_load(service)
        done = time.time() + 0.3  # by then all workers have updated their sums
        seen += until(events, lambda event: event["at"] - event["seconds"] > done)
        while len(seen) % RATES != 1:
            seen.append(next(events))
        return seen


# ---- content -------------------------------------------------------------------------------------


def test_the_first_event_is_sent_at_once_and_then_two_per_second(service: Service) -> None:
    with service.client() as client, client.stream("GET", "/v1/live") as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Accel-Buffering"] == "no"
        lines = response.iter_lines()
        assert [next(lines), next(lines)] == ["retry: 2000", ""]
        events = events_of(lines)
        at = [next(events)["at"] for _ in range(4)]
    assert all(after - before > 0.49 for before, after in pairwise(at))


@pytest.mark.slow
def test_the_numbers_of_a_known_load_are_correct(service: Service) -> None:
    seen = watched_load(service)
    rates = ("requests", "pictures", "refused", "failed", "shed", "calls")
    reported = {rate: amount(seen, rate) for rate in rates}
    assert reported == {
        "requests": 48, "pictures": 55, "refused": 3, "failed": 0, "shed": 0, "calls": 45
    }  # fmt: skip
    first, last = seen[0], seen[-1]
    assert first["p50"] is None
    assert first["requests_per_second"] == first["seconds"] == 0
    assert (last["queue"], last["queue_limit"], last["inflight"]) == (0, 1024, 0)
    assert (last["provider"], last["provider_fallback"], last["version"]) == ("cpu", False, "1")
    assert (last["workers"], last["draining"], last["watchers"]) == (1, False, 1)


def test_batches_and_quantiles_are_of_the_last_seconds(service: Service) -> None:
    with watching(service) as events:
        next(events)
        post(service, 5)
        post_parts(service, part(SEVEN), part(SEVEN), part(SEVEN))
        event = until(events, lambda event: sum(calls_of(event).values()) == 6)[-1]
    assert calls_of(event) == {1: 5, 4: 1}
    assert event["batches"][-1]["most"] is None
    assert 0 < event["p50"] <= event["p99"] <= 10


@pytest.mark.slow
def test_any_worker_reports_the_sums_of_all(published: tuple[Store, Version]) -> None:
    with two_workers(published[0], max_queue=300) as service, ExitStack() as stack:
        others = [stack.enter_context(watching(service)) for _ in range(5)]
        seen = watched_load(service)
        assert amount(seen, "requests") == 48
        assert amount(seen, "pictures") == 55
        assert seen[-1]["workers"] == 2
        assert seen[-1]["queue_limit"] == 600
        for events in others:
            until(events, lambda event: event["watchers"] == 6)


def test_the_number_of_events_can_be_limited(service: Service) -> None:
    with watching(service, "?events=3") as events:
        assert len(list(events)) == 3
    problem(fetch.get(f"{service.url}/v1/live?events=some"), 400)


def test_a_later_watcher_starts_anew(service: Service) -> None:
    """Without watchers, no data is kept from which rates could be computed."""
    with watching(service, "?events=2") as events:
        assert [event["seconds"] > 0 for event in events] == [False, True]
    wait_until(lambda: watchers(service) == 0, service)
    post(service, 3)
    with watching(service) as events:
        assert next(events)["seconds"] == 0


# ---- access --------------------------------------------------------------------------------------


def test_the_number_of_watchers_is_limited(narrow: Service) -> None:
    with watching(narrow) as first, watching(narrow) as second:
        next(first), next(second)
        refused = fetch.get(f"{narrow.url}/v1/live")
        assert "DIGITSERVE_MAX_WATCHERS" in problem(refused, 503)["detail"]
        assert int(refused.headers["Retry-After"]) >= 1
        assert watchers(narrow) == 2
        post(narrow, 1)  # other requests are not rejected
        until(first, lambda event: event["requests_per_second"] > 0 and event["watchers"] == 2)


def test_a_watcher_that_disconnects_makes_room_at_once(narrow: Service) -> None:
    with watching(narrow) as first:
        next(first)
        with watching(narrow) as second:
            next(second)
        began = next(first)["at"]
        wait_until(lambda: fetch.get(f"{narrow.url}/v1/live?events=1").is_success, narrow)
        assert until(first, lambda event: event["watchers"] == 1)[-1]["at"] - began < PATIENCE
    wait_until(lambda: watchers(narrow) == 0, narrow)


def test_the_route_can_be_disabled(published: tuple[Store, Version]) -> None:
    with Service.started(published[0].folder.parent, max_watchers=0) as service:
        refused = problem(fetch.get(f"{service.url}/v1/live"), 403)
        assert "DIGITSERVE_MAX_WATCHERS" in refused["detail"]


def test_with_api_keys_watchers_need_one(published: tuple[Store, Version]) -> None:
    key = "a-key-for-who-watches"
    with Service.started(published[0].folder.parent, api_keys=key) as service:
        problem(fetch.get(f"{service.url}/v1/live"), 401)
        for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
            with watching(service, "?events=1", **headers) as events:
                assert next(events)["watchers"] == 1


def test_only_get_is_allowed(service: Service) -> None:
    response = fetch.post(f"{service.url}/v1/live")
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS"


# ---- slow clients, unexpected bodies -------------------------------------------------------------


@pytest.mark.slow
def test_a_watcher_that_does_not_read_is_disconnected(narrow: Service) -> None:
    url = httpx2.URL(narrow.url)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((url.host, url.port))
        connection.sendall(b"GET /v1/live HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: watchers(narrow) == 1, narrow)
        wait_until(lambda: watchers(narrow) == 0, narrow)


def test_a_request_with_a_body_is_answered_and_closed(service: Service) -> None:
    before = len(service.log)
    with connected(service) as connection:
        head = b"GET /v1/live HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
        connection.send(head, b"x" * 1000)
        status, headers, _ = connection.answer()
        assert (status, headers["connection"]) == (200, "close")
        while connection.socket.recv(65536):
            pass
    wait_until(lambda: watchers(service) == 0, service)
    assert "without completing" not in service.log[before:]


# ---- metrics and log -----------------------------------------------------------------------------


def test_a_watcher_counts_neither_as_slow_nor_as_in_flight(service: Service) -> None:
    answered, took = metric(service, ANSWERED), metric(service, TOOK)
    with watching(service) as events:
        seen = until(events, lambda event: event["seconds"] >= 1.9)
        assert seen[-1]["inflight"] == 0
        assert seen[-1]["requests_per_second"] == 0
        assert metric(service, ANSWERED) == answered + 1
    wait_until(lambda: watchers(service) == 0, service)
    assert metric(service, ANSWERED) == answered + 1
    assert metric(service, TOOK) - took < seen[-1]["at"] - seen[0]["at"]
    assert metric(service, "inflight_requests") == 1  # the scrape itself


def test_the_log_has_one_line_per_watcher(
    published: tuple[Store, Version],
) -> None:
    def lines() -> list[Event]:
        return [event for event in service.events if event.get("route") == "/v1/live"]

    with Service.started(published[0].folder.parent, access_log="all") as service:
        with watching(service) as events:
            wait_until(lines, service)
            until(events, lambda event: event["seconds"] > 0)
        wait_until(lambda: watchers(service) == 0, service)
        wait_to_read("/metrics", service)
        (line,) = lines()
        assert line["status"] == 200


# ---- shutdown ------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, slow(2)])
def test_a_drain_ends_each_stream_with_a_final_event(
    published: tuple[Store, Version], workers: int
) -> None:
    models = published[0].folder.parent
    with (
        Service.started(models, drain_seconds=30, workers=workers) as service,
        watching(service) as first,
        watching(service) as second,
    ):
        next(first), next(second)
        service.send(signal.SIGTERM)
        reported = time.monotonic()
        for events in (first, second):
            *before, last = events
            assert last["draining"] is True
            assert not any(event["draining"] for event in before)
        assert time.monotonic() - reported < 15  # half of the drain time
        with watching(service) as events:
            assert [event["draining"] for event in events] == [True]
        assert fetch.get(f"{service.url}/livez").status_code == 200
        service.send(signal.SIGTERM)
        assert service.exit_code() in (0, -signal.SIGKILL)


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("reads", [True, False])
def test_watchers_do_not_delay_the_stop(
    published: tuple[Store, Version], sig: signal.Signals, reads: bool
) -> None:
    models = published[0].folder.parent
    with Service.started(models, drain_seconds=0) as service, connected(service) as connection:
        connection.send(b"GET /v1/live HTTP/1.1\r\nHost: x\r\n\r\n")
        if reads:
            assert connection.answer()[0] == 200
        wait_until(lambda: watchers(service) == 1, service)
        began = time.monotonic()
        service.send(sig)
        assert service.exit_code() == 0
        assert time.monotonic() - began < 15  # less than the timeout of a request
        assert "Traceback" not in service.log
