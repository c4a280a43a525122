"""With DIGITSERVE_PEERS, /v1/live of any replica sums over all, and says which do not answer."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from contract.store import Store
from contract.version import Version
from loadtest.target.server import free_port
from tests.support import fetch
from tests.support.pictures import SEVEN
from tests.support.problems import problem
from tests.support.running import Service, status
from tests.support.watching import Event, until, watching

KEY = "a-key-that-all-replicas-share"


@pytest.fixture(scope="module")
def models(published: tuple[Store, Version]) -> Path:
    return published[0].folder.parent


@pytest.fixture(scope="module")
def replicas(models: Path) -> Iterator[list[Service]]:
    """Two, `one` and `other`; nothing listens at the third of their peers."""
    ports = [free_port() for _ in range(3)]
    peers = ",".join(f"127.0.0.1:{port}" for port in ports)
    with ExitStack() as stack:
        yield [
            stack.enter_context(Service.started(models, port=port, peers=peers, replica=name))
            for name, port in zip(("one", "other"), ports, strict=False)
        ]


def rows(event: Event) -> dict[str | None, Event]:
    """By the name of the replica."""
    return {row["replica"]: row for row in event["replicas"]}


def is_complete(event: Event) -> bool:
    return {"one", "other"} <= {row["replica"] for row in event["replicas"] if row["load"]}


def test_the_status_names_the_replica(replicas: list[Service]) -> None:
    assert [status(service)["replica"] for service in replicas] == ["one", "other"]


def test_without_a_name_it_is_that_of_the_host(service: Service) -> None:
    assert status(service)["replica"] == socket.gethostname()


def test_without_peers_there_are_no_rows(service: Service) -> None:
    with watching(service, "?events=1") as events:
        event = next(events)
    assert event["replicas"] is None
    assert event["replica"] == socket.gethostname()


def test_requests_to_one_replica_are_reported_by_the_other(replicas: list[Service]) -> None:
    one, other = replicas
    with watching(one) as events:
        until(events, is_complete)
        for _ in range(20):
            fetch.post(f"{other.url}/v1/predict", content=SEVEN).raise_for_status()
        event = until(events, lambda event: event["requests_per_second"] > 0)[-1]
    assert event["replica"] == "one"
    assert rows(event)["one"]["load"]["requests_per_second"] == 0
    assert rows(event)["other"]["load"]["requests_per_second"] == event["requests_per_second"]
    assert event["p99"] == rows(event)["other"]["load"]["p99"] > 0
    assert sum(each["calls"] for each in event["batches"]) > 0
    assert (event["workers"], event["queue_limit"]) == (2, 2048)


def test_each_replica_is_counted_once(replicas: list[Service]) -> None:
    """Also the one that answers, which is among its own peers."""
    with watching(replicas[0]) as events:
        until(events, is_complete)
        event = next(events)
    assert sorted(row["replica"] or "" for row in event["replicas"]) == ["", "one", "other"]
    assert {row["version"] for row in event["replicas"] if row["load"]} == {"1"}


def test_a_peer_that_cannot_be_reached_is_a_row_with_the_reason(replicas: list[Service]) -> None:
    with watching(replicas[1]) as events:
        until(events, is_complete)
        (row,) = [row for row in next(events)["replicas"] if row["replica"] is None]
    assert row["problem"] == "it cannot be reached"
    assert row["load"] is row["answered"] is None


@pytest.mark.slow
def test_a_replica_that_ends_stays_as_missing_and_comes_back(models: Path) -> None:
    ports = [free_port() for _ in range(2)]
    peers = ",".join(f"127.0.0.1:{port}" for port in ports)

    def started(at: int) -> Any:
        return Service.started(models, port=ports[at], peers=peers, replica=("one", "other")[at])

    with started(0) as one, watching(one) as events:
        with started(1) as other:
            until(events, is_complete)
            other.process.kill()
            other.exit_code()
        gone = until(events, lambda event: "other" in rows(event) and not is_complete(event))[-1]
        assert rows(gone)["other"]["problem"]
        assert rows(gone)["other"]["answered"] <= gone["at"]
        assert gone["workers"] == 1
        with started(1):
            until(events, is_complete)


def test_a_name_that_cannot_be_resolved_is_reported(models: Path) -> None:
    with (
        Service.started(models, peers="no-such-host.invalid:8000", replica="one") as service,
        watching(service) as events,
    ):
        event = until(events, lambda event: event["replicas_problem"])[-1]
    assert "no-such-host.invalid" in event["replicas_problem"]
    assert [row["replica"] for row in event["replicas"]] == ["one"]
    assert event["workers"] == 1


# ---- access --------------------------------------------------------------------------------------


def test_replicas_present_the_api_key_to_each_other(models: Path) -> None:
    ports = [free_port() for _ in range(2)]
    peers = ",".join(f"127.0.0.1:{port}" for port in ports)
    with (
        Service.started(models, port=ports[0], peers=peers, replica="one", api_keys=KEY) as one,
        Service.started(models, port=ports[1], replica="other", api_keys=f"{KEY}-2,{KEY}"),
        watching(one, **{"X-API-Key": KEY}) as events,
    ):
        until(events, is_complete)


def test_the_counts_need_a_key_and_an_open_route(models: Path) -> None:
    with Service.started(models, api_keys=KEY, max_watchers=0) as service:
        url = f"{service.url}/v1/live/snapshot"
        problem(fetch.get(url), 401)
        refused = problem(fetch.get(url, headers={"X-API-Key": KEY}), 403)
        assert "DIGITSERVE_MAX_WATCHERS" in refused["detail"]


# ---- unexpected answers --------------------------------------------------------------------------


class Impostor(ThreadingHTTPServer):
    """A peer that answers as a test says."""

    daemon_threads = True

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), ImpostorHandler)
        self.answer = status, headers, body
        self.paths: list[str] = []


class ImpostorHandler(BaseHTTPRequestHandler):
    server: Impostor

    def do_GET(self) -> None:
        status, headers, body = self.server.answer
        self.server.paths.append(self.path)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not to stderr."""


@contextmanager
def impostor(
    status: int = 200, body: bytes = b"", **headers: str
) -> Iterator[tuple[Impostor, str]]:
    with Impostor(status, headers, body) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server, f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def report_with(service: Service, change: Callable[[Event], object]) -> bytes:
    report: Event = fetch.get(f"{service.url}/v1/live/snapshot").json()
    change(report)
    return json.dumps(report).encode()


NO_REPORT = "its numbers are not of this release"
REFUSED = "it refuses the API key: all replicas need the first of DIGITSERVE_API_KEYS"
CHANGES: dict[str, Callable[[Event], object]] = {
    "markup in the name": lambda report: report.update(replica="<img src=x>"),
    "markup in the version": lambda report: report.update(version="<b>1</b>"),
    "other buckets": lambda report: report["snapshot"]["seconds"].append(1),
    "not a number": lambda report: report["snapshot"].update(requests=float("nan")),
    "infinite": lambda report: report["snapshot"].update(queue=float("inf")),
    "too large to be summed": lambda report: report["snapshot"].update(queue=1.7e308),
    "a bucket too large": lambda report: report["snapshot"]["sizes"].__setitem__(0, 1.7e308),
    "nothing": lambda report: report.clear(),
}
ANSWERS: dict[str, tuple[int, bytes, str]] = {  # status, body, problem
    "no key": (401, b"", REFUSED),
    "full": (503, b"", "it answers 503"),
    "long": (200, b"x" * 100_000, "its answer is too long"),
    "elsewhere": (302, b"", "it answers 302"),
}


@pytest.fixture(scope="module")
def problems(models: Path, service: Service) -> dict[str, str]:
    """Of a service whose peers all answer wrongly; its own numbers are reported all the same."""
    answers = {name: (status, body) for name, (status, body, _) in ANSWERS.items()}
    answers |= {name: (200, report_with(service, change)) for name, change in CHANGES.items()}
    with ExitStack() as stack:
        peers = {
            name: stack.enter_context(impostor(*answer))[1] for name, answer in answers.items()
        }
        replica = stack.enter_context(
            Service.started(models, peers=",".join(peers.values()), replica="one")
        )
        events = stack.enter_context(watching(replica))
        event = until(events, lambda event: sum(map(is_final, event["replicas"])) == len(peers))[-1]
    assert event["workers"] == 1
    assert [row["replica"] for row in event["replicas"] if row["load"]] == ["one"]
    by_address = {row["address"]: row["problem"] for row in event["replicas"]}
    return {name: by_address[peer] for name, peer in peers.items()}


@pytest.mark.parametrize("change", CHANGES)
def test_an_answer_that_is_no_report_is_not_summed(problems: dict[str, str], change: str) -> None:
    assert problems[change] == NO_REPORT


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_of_another_kind_is_named(problems: dict[str, str], answer: str) -> None:
    assert problems[answer] == ANSWERS[answer][-1]


def test_peers_are_requested_only_while_a_client_watches_and_redirects_are_not_followed(
    models: Path,
) -> None:
    with (
        impostor() as (elsewhere, address),
        impostor(302, location=f"http://{address}/") as (server, peer),
        Service.started(models, peers=peer) as service,
    ):
        fetch.post(f"{service.url}/v1/predict", content=SEVEN).raise_for_status()
        assert server.paths == []
        with watching(service) as events:
            until(events, lambda event: any(map(is_final, event["replicas"])))
        assert set(server.paths) == {"/v1/live/snapshot"}
        assert elsewhere.paths == []


def is_final(row: Event) -> bool:
    return row["problem"] not in (None, "it has not answered yet")
