"""A service that does not run on the requested provider is not measured."""

import json
from typing import Any

import pytest

from loadtest.bench_gpu.measure import Runs, proven
from loadtest.errors import CannotMeasure
from loadtest.host.processes import Memory
from loadtest.target.server import Running
from tests.loadtest.tiny import reply, tiny


def status(
    worker: int, provider: str = "cuda", *fallbacks: tuple[str, str], way: str = "graph"
) -> dict[str, Any]:
    reported = [{"what": what, "reason": reason} for what, reason in fallbacks]
    return {
        "worker": worker,
        "provider": provider,
        "provider_fallback": any(what == "provider" for what, _ in fallbacks),
        "engine": {"precision": "fp16", "way": way, "fallbacks": reported},
    }


def status_of(*statuses: dict[str, Any], workers: int) -> Runs:
    """The status of a service whose workers answer in turn."""
    bodies = [json.dumps(each).encode() for each in statuses]
    with tiny(lambda number: reply(body=bodies[number % len(bodies)])) as server:
        running = Running(server.address, 1, Memory(1, 1, 1, 1))
        return proven(running, "cuda", workers)


def test_every_worker_is_checked() -> None:
    assert status_of(status(0), status(0), status(1), workers=2) == Runs("cuda", "fp16", "graph")
    with pytest.raises(CannotMeasure, match="only 1 of 2 workers"):
        status_of(status(0), workers=2)


def test_another_provider_is_rejected() -> None:
    with pytest.raises(CannotMeasure, match="cpu serves and not cuda"):
        status_of(status(0, "cpu"), workers=1)


def test_a_fallback_of_one_worker_is_rejected_with_its_reason() -> None:
    fallen = status(1, "cuda", ("cuda_graph", "no memory"))
    with pytest.raises(CannotMeasure, match="cuda_graph fell back: no memory"):
        status_of(status(0), fallen, workers=2)


def test_workers_that_differ_are_rejected() -> None:
    with pytest.raises(CannotMeasure, match="cuda, fp16, graph; cuda, fp16, plain"):
        status_of(status(0), status(1, way="plain"), workers=2)
