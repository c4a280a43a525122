"""Offers a server a rate for some seconds, says in a line what came of it, and lets it recover."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadtest.capacity.probe import Probe
from loadtest.capacity.subject import Reading, Subject
from loadtest.client.asyncio_client import LOST, ask_once
from loadtest.client.openloop.expectation import ExpectedRequest
from loadtest.client.openloop.generator import PATIENCE
from loadtest.client.openloop.processes import LoadSpec, run_processes
from loadtest.errors import CannotMeasure
from loadtest.host.machine import Placement
from loadtest.report.slo import Slo

RECOVERY = 30.0  # seconds in which a server must answer again after it was offered too much
PROMPT = 0.1  # seconds of an answer that shows that it does, if less was promised


@dataclass(frozen=True)
class Plan:
    slo: Slo
    seconds: float  # of a probe
    warm_up: float  # seconds before them, at the same rate, that do not count
    connections: int  # of each generator, at most
    placement: Placement


def prober(
    subject: Subject, requests: Sequence[ExpectedRequest], plan: Plan, seeds: Callable[[], int]
) -> Callable[[float], Probe]:
    """Every probe draws its arrivals anew, from the next of the seeds.

    It begins with as many connections as are busy when each request takes the promised p99.
    """
    generators = plan.placement.generators

    def probe(rate: float) -> Probe:
        spec = LoadSpec(
            subject.address,
            requests,
            rate,
            plan.warm_up + plan.seconds,
            (seeds(),),
            plan.connections,
            math.ceil(rate * plan.slo.p99 / len(generators)),
            max(PATIENCE, plan.slo.p99),
        )
        first: list[Reading] = []  # once the connections are ready: each took a call of its own
        outcomes = run_processes(spec, generators, lambda: first.append(subject.read()))
        server = subject.between(first[0], subject.read(), shared=plan.placement.shared)
        done = Probe.of(rate, outcomes, server, warm_up=plan.warm_up, cores=generators)
        print(done.line(plan.slo), flush=True)
        if not done.holds(plan.slo):
            _recovered(subject, requests[0], plan.slo)
        return done

    return probe


def _recovered(subject: Subject, request: ExpectedRequest, slo: Slo) -> None:
    """Wait until one request is answered soon again."""
    end = time.monotonic() + RECOVERY
    said = "no answer"
    while time.monotonic() < end:
        began = time.monotonic()
        try:
            status = ask_once(subject.address, request.data).status
        except LOST as error:
            said = repr(error)
        else:
            took = time.monotonic() - began
            if status == 200 and took <= max(slo.p99, PROMPT):
                return
            said = f"status {status} after {took:.3f} s"
        time.sleep(0.05)
    raise CannotMeasure(f"{subject.address} did not recover within {RECOVERY:.0f} s: {said}")
