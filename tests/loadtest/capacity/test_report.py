"""The report of a capacity, of a bound, or of the reason why there is none."""

import json
import math
import os
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from loadtest.capacity import report
from loadtest.capacity.probe import Plan, Probe, Server
from loadtest.capacity.results import Margin, Results
from loadtest.capacity.search import Ladder, search
from loadtest.client.openloop.result import Outcomes, Recorder
from loadtest.host.machine import Conditions, Placement, on
from loadtest.report.slo import Slo

CONDITIONS = Conditions.now(command="c", pinned="p", client="o", model="m", settings={})
PLAN = Plan(Slo(), 5.0, 1.0, 1024, Placement(server=(0,), generators=(1,)))
LADDER = Ladder(500, 0.03, 20, 100_000)


def probe(rate: float, *, limit: float, generator: float = 1e9) -> Probe:
    """A service that answers quickly up to its limit, and never above."""
    return Probe(
        rate=rate,
        requests=1000,
        p50=0.001,
        p99=0.010 if rate <= limit else math.inf,
        p999=0.020,
        refused=0,
        wrong=0,
        unanswered=0,
        broken={},
        generator_cpu=0.5 if rate <= generator else 0.95,
        late=0.0001,
        server=Server(cpu=0.8, others=0.02, batch=12.0),
        errors=0.0,
    )


def results(*limits: float, generator: float = 1e9, rates: tuple[float, ...] = ()) -> Results:
    probes = [partial(probe, limit=limit, generator=generator) for limit in limits]
    searches = [search(each, PLAN.slo, LADDER) for each in probes]
    return Results(CONDITIONS, PLAN, searches, rates, Margin(), left_out=2)


def test_a_capacity_is_reported_with_its_interval_and_replicas() -> None:
    found = results(10_000, 10_400, 10_800, 11_100, 11_500, 12_000, rates=(10_000, 50_000))
    text = report.markdown(found)
    low, high = found.interval.low, found.interval.high
    assert low <= 10_000 < low * 1.031
    assert high <= 12_000 < high * 1.031
    assert f"({low:,.0f} to {high:,.0f} with 96.9% confidence, of 6 searches)" in text
    assert "p99 <= 50 ms, errors <= 0.1 % " in text
    assert "| 10,000 | 3 | 1 | 3 | 2 |" in text
    assert "30% of it left as headroom, and 1 spare" in text
    assert "Images left out, as they are misread without load: 2." in text
    assert "do not count, as" not in text
    assert report.verdict(found) in report.plain(found)


def test_no_capacity_is_reported_if_the_generator_was_the_bottleneck() -> None:
    found = results(*[17_000] * 5, 8_000, generator=9_000, rates=(9_000,))
    sentence = report.verdict(found)
    assert sentence.startswith(f"At least {found.interval.low:,.0f} requests a second on 1 core")
    assert "the generator was the bottleneck in 5 of 6 searches" in sentence
    assert "Capacity:" not in report.plain(found)
    assert "at most, replicas" in report.plain(found)
    assert "Probes that do not count, as the generator was the bottleneck:" in report.plain(found)


def test_nothing_is_known_if_the_generator_always_was_the_bottleneck() -> None:
    found = results(17_000, generator=0, rates=(10,))
    assert report.verdict(found) == (
        "Nothing is known of the service: the generator was the bottleneck in 1 of 1 searches."
    )
    assert "Replicas cannot be counted" in report.plain(found)


def test_a_capacity_at_the_highest_rate_is_a_lower_bound() -> None:
    assert report.verdict(results(1e9, 1e9)) == (
        "At least 100,000 requests a second on 1 core with p99 <= 50 ms, errors <= 0.1 %: "
        "it held at the highest rate that was to be tried (--most)."
    )


def test_an_slo_that_never_holds_is_reported() -> None:
    found = results(0, 0)
    assert "does not hold at any rate: not at 20 requests a second either" in (
        report.verdict(found)
    )
    assert json.loads(found.json())["capacity"]["high"] == 0


def test_with_few_searches_the_confidence_is_stated() -> None:
    assert "With 2 searches the interval has 50.0% confidence" in (
        report.plain(results(10_000, 10_000))
    )


def test_probes_are_summarised_by_rate() -> None:
    found = results(10_000, 12_000)
    both = found.by_rate()
    assert list(both) == sorted(both)
    (row,) = (line for line in report.markdown(found).splitlines() if "| 500 |" in line)
    assert row == "| 500 | 2 of 2 | 1 ms | 10 ms | 20 ms | 0 % | 80% | 12.0 | 50% |"
    assert "| never |" in report.markdown(found)


def test_the_json_file_contains_no_infinity() -> None:
    reported = json.loads(found := results(10_000).json(), parse_constant=pytest.fail)
    assert "Infinity" not in found
    assert None in {each["p99"] for each in reported["searches"][0]["probes"]}


@pytest.mark.parametrize(
    ("processor", "cores", "name"),
    [
        ("AMD EPYC", 2, "capacity-amd-epyc-2-cores.md"),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", 1, "capacity-intel-xeon-1-core.md"),
        ("AMD EPYC 7763 64-Core Processor", 4, "capacity-amd-epyc-7763-64-core-4-cores.md"),
        ("aarch64", 8, "capacity-aarch64-8-cores.md"),
    ],
)
def test_the_file_is_named_after_the_machine(processor: str, cores: int, name: str) -> None:
    path = report.path_for(replace(CONDITIONS, processor=processor, cores=cores))
    assert (path.parent.name, path.name) == ("benchmarks", name)


def test_a_late_generator_is_a_bottleneck_with_a_remark() -> None:
    late = replace(probe(500, limit=1000), late=0.0051)
    assert late.bound(PLAN.slo) == "the generator was 5.1 ms late (p99)"
    assert not late.holds(PLAN.slo)
    assert "does not count: the generator was" in late.line(PLAN.slo)
    assert late.line(PLAN.slo).startswith("      500/s  p50     1 ms  p99    10 ms")
    assert probe(500, limit=1000).line(PLAN.slo).endswith("generator  50%  holds")
    assert "p99 never > 50 ms" in probe(500, limit=100).line(PLAN.slo)


@pytest.mark.parametrize(("cores", "share"), [((1, 1, 2), 1.2), ((1, 2, 3), 0.7)])
def test_generators_that_share_a_core_add_their_load(cores: tuple[int, ...], share: float) -> None:
    none = np.array([])
    outcomes = Outcomes.together(
        [Recorder(0).outcomes(none, began=0, cpu=cpu) for cpu in (0.5, 0.7, 0.4)]
    )
    done = Probe.of(500, outcomes, Server(None, None, None), warm_up=0, cores=cores)
    assert done.generator_cpu == pytest.approx(share)
    assert bool(done.bound(PLAN.slo)) is (share > 0.9)


@pytest.mark.parametrize(
    ("server", "generators", "reported"),
    [
        ((0,), (1,), "server on core 0, generator on core 1"),
        ((0, 1), (2, 3), "server on cores 0, 1, generator on cores 2, 3"),
        ((0,), (0,), "server on core 0, generator on core 0: they share, as this machine has"),
        ((), (1,), "generator on core 1; the server was running: its cores are not known"),
    ],
)
def test_the_report_says_which_process_ran_on_which_core(
    server: tuple[int, ...], generators: tuple[int, ...], reported: str
) -> None:
    assert str(Placement(server, generators)).startswith(reported)


def test_for_a_running_server_no_settings_or_cores_are_reported() -> None:
    found = results(10_000, rates=(100,))
    there = replace(found, plan=replace(PLAN, placement=Placement((), (1,))))
    text = report.markdown(there)
    assert "settings passed on: none: the server was running" in text
    assert "| 100 | 2 | 1 | unknown |" in text
    assert "requests a second with p99" in report.verdict(there)


def test_workers_and_generators_get_separate_cores_while_there_are_some() -> None:
    with on(min(os.sched_getaffinity(0))):
        only = Placement.of(workers=2, generators=2)
    assert only.shared
    assert len(only.server) == 1
    assert len(only.generators) == 2
    assert Placement.of(workers=0, generators=1).server == ()
