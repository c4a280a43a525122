"""One target, started anew, measured, ended: what it did, what that cost, what it held.

Every round starts every target anew, so that the luck of one start does not last, and no other
target runs while one is measured.
"""

import json
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from loadtest.client import asyncio_client, wrk
from loadtest.client.requests import INFER, SampleImages, predict_request, tensor
from loadtest.client.result import Load
from loadtest.host.machine import Placement
from loadtest.host.processes import Memory, busy_seconds
from loadtest.target.server import Running, started
from loadtest.target.targets import MANY, Target

IMAGES, DRAWINGS, BATCHES = "images", "drawings", "batches"  # what is posted
DRAWING = 280  # pixels of a side of a drawing
BATCH = 64  # images in a batch
BATCH_CONNECTIONS = 4  # one is computed, the others travel
WARM_UP = 1.0  # seconds, at most


@dataclass(frozen=True)
class Measured:
    posted: str
    load: Load
    cpu: float  # seconds of the server, user and system, an answer
    others: float  # share of the server's core that other programs took, the host included

    @property
    def connections(self) -> int:
        return self.load.connections


@dataclass(frozen=True)
class Visit:
    target: str
    right: int | None  # of the images, as the target reads them
    images: int  # on the version's sheet
    idle: Memory
    after: Memory
    measured: list[Measured]
    skipped: str = ""  # what could not be measured, and why

    def of(self, posted: str, connections: int) -> Measured | None:
        for each in self.measured:
            if (each.posted, each.connections) == (posted, connections):
                return each
        return None


@dataclass(frozen=True)
class Tool:
    """The client: wrk, or the one in Python, which is always there."""

    name: str
    run_load: Callable[..., Load]  # of wrk or asyncio_client

    @classmethod
    def found(cls, wanted: str) -> "Tool":
        if wanted == "asyncio" or (wanted == "auto" and not wrk.path_of_wrk()):
            return cls(
                "asyncio (slower than wrk: a fast server waits for it)", asyncio_client.run_load
            )
        return cls("wrk", wrk.run_load)


@dataclass(frozen=True)
class Plan:
    tool: Tool
    seconds: float  # a load
    batches: bool
    model: str
    cores: Placement


def visit(target: Target, images: SampleImages, plan: Plan) -> Visit:
    requests = images.requests
    plan = replace(plan, cores=plan.cores.with_servers(target.workers))
    with started(target, plan.cores.server, probe=requests[0]) as running:
        right = _right(running, requests, images.labels) if target.reads else None
        plan.tool.run_load(
            running.address,
            requests,
            connections=max(target.connections),
            seconds=min(WARM_UP, plan.seconds),
        )
        measured = [
            _measure(running, requests, IMAGES, connections, plan)
            for connections in target.connections
        ]
        if target.prepares and images.prepare.preparation.kind == "digit":
            drawings = [predict_request(png) for png in images.drawings(DRAWING)]
            measured.append(_measure(running, drawings, DRAWINGS, MANY, plan))
        skipped = ""
        if plan.batches and target.takes_batches:
            batch = tensor(plan.model, images.batch(BATCH))
            if refusal := refusal_of(running, batch):
                skipped = f"binary batches: {INFER} {refusal}"
            else:
                measured.append(_measure(running, [batch], BATCHES, BATCH_CONNECTIONS, plan))
        return Visit(
            target=target.name,
            right=right,
            images=len(requests),
            idle=running.idle,
            after=running.memory(),
            measured=measured,
            skipped=skipped,
        )


def _measure(
    running: Running, requests: list[bytes], posted: str, connections: int, plan: Plan
) -> Measured:
    cores = plan.cores
    cpu, busy = running.cpu.seconds(), sum(map(busy_seconds, cores.server))
    load = plan.tool.run_load(
        running.address, requests, connections=connections, seconds=plan.seconds
    )
    cpu, busy = running.cpu.seconds() - cpu, sum(map(busy_seconds, cores.server)) - busy
    ours = cpu + (load.client_cpu if cores.shared else 0.0)
    others = max(0.0, busy - ours) / load.seconds
    return Measured(posted, load, cpu / max(1, load.answers), others)


def _right(running: Running, requests: list[bytes], labels: list[str]) -> int:
    """How many images it reads as they are labelled: a fast target must do the work too."""
    read = [_label(running.send(request).body) for request in requests]
    return sum(found == label for found, label in zip(read, labels, strict=True))


def _label(body: bytes) -> Any:
    """Of the first prediction; None if the answer has none."""
    try:
        return json.loads(body)["predictions"][0]["label"]
    except (ValueError, LookupError, TypeError):
        return None


def refusal_of(running: Running, request: bytes) -> str:
    """How a server refuses a request; empty if it does not."""
    answer = running.send(request)
    return f"answered {answer.status}: {answer.excerpt}" if answer.status >= 400 else ""


def add_load(parser: ArgumentParser) -> None:
    clients, client = ("auto", "wrk", "asyncio"), "default: wrk, if it is installed"
    add = parser.add_argument
    add("--seconds", type=float, default=5, help="length of each load; default: 5")
    add("--client", choices=clients, default="auto", help=client)
