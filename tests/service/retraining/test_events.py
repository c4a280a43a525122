"""GET /v1/retrain/{id}/events: each event once, also after a lost connection, until the end."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple

import anyio
import httpx2
import pytest

from contract.jobs import Found, Job, Position, Request
from contract.store import Store
from contract.version import Version
from service.api.live.stream import RETRY
from service.api.v1.job_events import COMMENT, SharedReads, chunks
from tests.support.jobs import NOW, ScriptedWorker
from tests.support.problems import refusal
from tests.support.program import PATIENCE
from tests.support.running import ADMIN, TOKEN, Service


class Received(NamedTuple):
    id: str | None
    kind: str
    data: dict[str, Any]

    @property
    def state(self) -> str | None:
        return self.data.get("state")


@contextmanager
def watching(
    service: Service, job_id: str, last: str | None = None
) -> Iterator[Iterator[Received]]:
    headers = ADMIN if last is None else {**ADMIN, "Last-Event-ID": last}
    with (
        service.client(headers=headers) as client,
        client.stream("GET", f"/v1/retrain/{job_id}/events") as response,
    ):
        assert response.headers["content-type"] == "text/event-stream"
        yield _received(response.iter_lines())


def _received(lines: Iterator[str]) -> Iterator[Received]:
    number = None
    for line in lines:
        if line.startswith("id: "):
            number = line.removeprefix("id: ")
        elif line.startswith("data: "):
            event = json.loads(line.removeprefix("data: "))
            yield Received(number, event["kind"], event["data"])
            number = None


def started(client: httpx2.Client, **request: Any) -> str:
    job_id: str = client.post("/v1/retrain", json=request).json()["id"]
    return job_id


def until(events: Iterator[Received], state: str) -> list[Received]:
    """The events up to the first that says that the job is in that state."""
    seen: list[Received] = []
    deadline = time.monotonic() + PATIENCE
    for event in events:
        assert time.monotonic() < deadline, seen
        seen.append(event)
        if event.state == state:
            return seen
    raise AssertionError(f"the stream ended with {seen[-1:]}")


def test_all_events_arrive_and_the_stream_ends_with_the_job(
    admin: httpx2.Client, retraining: Service, worker: ScriptedWorker
) -> None:
    worker.steps = 3
    job_id = started(admin, activate="never")
    with watching(retraining, job_id) as events:
        seen = until(events, "training")
        seen += islice(events, 3)
        worker.ends.add(job_id)
        seen += events
    written = [event for event in seen if event.id is not None]
    assert [event.id for event in written] == ["1", "2", "3", "4", "5"]
    assert [event.kind for event in written] == ["job", *["progress"] * 3, "job"]
    assert [event.data["epoch"] for event in written[1:4]] == [1, 2, 3]
    assert seen[-1].state == "kept"


def test_a_job_that_has_ended_is_sent_from_its_beginning(
    admin: httpx2.Client, retraining: Service, worker: ScriptedWorker
) -> None:
    job_id = started(admin, activate="never")
    worker.ends.add(job_id)
    with watching(retraining, job_id) as events:
        first = [event for event in events if event.id]
    with watching(retraining, job_id) as events:
        assert [*events] == first


def test_a_client_that_reconnects_misses_nothing_and_gets_nothing_twice(
    admin: httpx2.Client, retraining: Service, worker: ScriptedWorker
) -> None:
    worker.steps = 4
    job_id = started(admin, activate="never")
    with watching(retraining, job_id) as events:
        seen = [event for event in until(events, "training") if event.id]
        seen += islice(events, 2)
    worker.ends.add(job_id)
    with watching(retraining, job_id, last=seen[-1].id) as events:
        seen += [event for event in events if event.id]
    assert [event.id for event in seen] == ["1", "2", "3", "4", "5", "6"]


def test_two_clients_get_the_same(
    admin: httpx2.Client, retraining: Service, worker: ScriptedWorker
) -> None:
    job_id = started(admin, activate="never")
    with watching(retraining, job_id) as one, watching(retraining, job_id) as other:
        worker.ends.add(job_id)
        assert [event for event in one if event.id] == [event for event in other if event.id]


def test_a_decision_is_followed_to_its_end(
    admin: httpx2.Client, retraining: Service, worker: ScriptedWorker
) -> None:
    job_id = started(admin, activate="ask")
    worker.ends.add(job_id)
    with watching(retraining, job_id) as events:
        until(events, "awaiting_approval")
        admin.post(f"/v1/retrain/{job_id}/approve")
        seen = [*events]
    assert seen[-1].state == "activated"
    (decided,) = [event for event in seen if event.id]
    with watching(retraining, job_id, last=decided.id) as events:
        assert [event.state for event in events if event.id] == []


def test_a_state_that_no_workflow_can_write_is_sent_without_an_id(
    admin: httpx2.Client, retraining: Service
) -> None:
    job_id = started(admin)
    with watching(retraining, job_id) as events:
        until(events, "training")
        admin.post(f"/v1/retrain/{job_id}/cancel")
        last = [*events][-1]
    assert (last.id, last.kind, last.state) == (None, "job", "cancelled")


def test_an_id_that_is_none_is_refused(admin: httpx2.Client) -> None:
    job_id = started(admin)
    refused = admin.get(f"/v1/retrain/{job_id}/events", headers={"Last-Event-ID": "last"})
    assert refusal(refused) == (400, "bad-parameter")


def test_no_more_streams_are_open_than_may(
    admin: httpx2.Client, published: tuple[Store, Version], worker: ScriptedWorker
) -> None:
    job_id = started(admin)
    models = published[0].folder.parent
    with (
        Service.started(models, jobs=worker.url, admin_token=TOKEN, max_watchers=1) as service,
        watching(service, job_id) as events,
        service.client(headers=ADMIN) as client,
    ):
        until(events, "training")
        refused = client.get(f"/v1/retrain/{job_id}/events")
        assert refusal(refused) == (503, "too-many-watchers")


@pytest.mark.slow
def test_a_stream_ends_when_the_service_stops_and_goes_on_in_another(
    admin: httpx2.Client,
    retraining: Service,
    published: tuple[Store, Version],
    worker: ScriptedWorker,
) -> None:
    """The other one has two workers."""
    job_id = started(admin)
    models, settings = published[0].folder.parent, {"jobs": worker.url, "admin_token": TOKEN}
    with Service.started(models, workers=2, drain_seconds=0, **settings) as service:
        with watching(service, job_id) as events:
            seen = [event for event in until(events, "training") if event.id]
            service.process.terminate()
            seen += [event for event in events if event.id]
        assert service.exit_code() == 0
    worker.ends.add(job_id)
    with watching(retraining, job_id, last=seen[-1].id) as events:
        seen += until(events, "awaiting_approval")
    assert [event.id for event in seen if event.id] == ["1", "2", "3"]


class Waiting:
    """Jobs that wait for ever."""

    job = Job(id="1", state="queued", request=Request(), model="digits", created=NOW)

    async def events(self, job_id: str, since: Position) -> Found:
        return Found([], self.job)


def test_while_nothing_happens_comments_keep_the_connection() -> None:
    async def received() -> list[bytes]:
        stream = chunks(
            "1", Waiting(), Position(), Found([], Waiting.job), lambda: False, poll=0, heartbeat=0
        )
        return [await anext(stream) for _ in range(4)]

    begin, job, *comments = anyio.run(received)
    assert begin == RETRY
    assert b'"state":"queued"' in job
    assert comments == [COMMENT, COMMENT]


def test_the_stream_ends_when_the_service_drains() -> None:
    async def received() -> list[bytes]:
        drained = iter([False, True])
        stream = chunks(
            "1", Waiting(), Position(), Found([], Waiting.job), lambda: next(drained), poll=0
        )
        return [chunk async for chunk in stream]

    begin, job = anyio.run(received)
    assert (begin, b'"state":"queued"' in job) == (RETRY, True)


def test_streams_at_the_same_position_share_a_read() -> None:
    """Also with one that disconnects; another position, and a later time, have their own."""
    reads: list[Position] = []
    goes_on = anyio.Event()

    class Slow:
        async def events(self, job_id: str, since: Position) -> Found:
            reads.append(since)
            await goes_on.wait()
            return Found([])

    async def read() -> None:
        shared = SharedReads(Slow(), shared=0)
        async with anyio.create_task_group() as streams:
            with anyio.move_on_after(0):
                await shared.events("job", Position(1))
            for position in (Position(1), Position(1), Position(2)):
                streams.start_soon(shared.events, "job", position)
            await anyio.wait_all_tasks_blocked()
            goes_on.set()
        assert reads == [Position(1), Position(2)]
        await anyio.sleep(0.01)
        await shared.events("job", Position(1))
        assert reads == [Position(1), Position(2), Position(1)]

    anyio.run(read)
