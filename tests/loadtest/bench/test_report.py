"""The results of a run as text: every number with its conditions."""

from loadtest.bench import report
from loadtest.bench.results import Results, Round
from loadtest.bench.scrape import Scrapes
from loadtest.client.result import Load
from loadtest.host.machine import Conditions
from loadtest.report.document import as_text
from tests.loadtest.bench.rounds import measured, one_round, visited

CONDITIONS = Conditions(
    date="2026-01-02 03:04",
    command="python -m loadtest.bench --rounds 1",
    commit="abc",
    processor="A Processor",
    cores=2,
    pinned="server on core 0, client on core 1",
    governor="performance",
    load=0.25,
    kernel="6.1",
    python="3.11.7",
    packages={"numpy": "2.0"},
    client="wrk",
    settings={"DIGITSERVE_THREADS": "1"},
    model="models/digits/1",
)
ROUND = one_round(100e-6)
LOAD = Load(
    connections=64,
    seconds=2.0,
    answers=20_000,
    refused=0,
    broken=0,
    p50=0.004,
    p99=0.006,
    slowest=0.02,
    client_cpu=0.1,
)
SCRAPES = Scrapes(2, 260, [0.001, 0.002], [0.003, 0.004], without=LOAD, load=LOAD)
RESULTS = Results(CONDITIONS, [ROUND], [SCRAPES], None, {"mosec": "0.9"}, {})


def test_the_table_has_a_row_for_every_load() -> None:
    head, *lines = report.loads([ROUND])
    assert head[:3] == ("what", "connections", "req/s")
    assert [line[:3] for line in lines] == [
        ("echo", "64", "20,000"),
        ("echo", "1", "5,000"),
        ("service", "64", "5,000"),
        ("service", "1", "1,000"),
        ("service, 64 images a request", "4", "500"),
        ("mosec", "64", "10,000"),
        ("mosec", "1", "2,000"),
    ]
    assert dict(zip(head, lines[2], strict=True)) == {
        "what": "service",
        "connections": "64",
        "req/s": "5,000",
        "p50 ms": "1.000",
        "p99 ms": "3.000",
        "CPU us/req": "100.0",
        "worker MB": "60.0",
        "idle MB": "80.0",
        "after MB": "80.0",
        "refused": "1",
        "broken": "0",
        "right": "99 of 100",
        "client": "25%",
        "others": "10%",
    }


def test_the_overview_shows_the_service_and_its_peers() -> None:
    head, *lines = report.glance([ROUND], {"mosec": "0.9"})
    assert head[0] == "at a glance: 64 connections"
    assert lines == [
        ("service", "5,000", "1.0", "3.0", "100", "99 of 100", ""),
        ("mosec 0.9", "10,000", "1.0", "3.0", "60", "99 of 100", "0.50 (0.50 to 0.50)"),
    ]


def test_without_peers_there_is_no_overview() -> None:
    alone = Results(CONDITIONS, [ROUND], [], None, {}, {})
    assert "at a glance" not in report.markdown(alone)


def test_columns_are_aligned() -> None:
    assert as_text([("what", "n"), ("a", "10"), ("long one", "1")]) == (
        "what       n\na         10\nlong one   1"
    )


def test_markdown_has_the_conditions_and_everything_shown_in_the_terminal() -> None:
    text = report.markdown(RESULTS)
    for reported in (
        "A Processor",
        "commit abc",
        "6.1",
        "numpy 2.0",
        "DIGITSERVE_THREADS=1",
        "0.25",
    ):
        assert reported in text
    assert "| service | 64 | 5,000 |" in text
    assert "| limit's CPU / service's CPU, 64 connections | 0.60 (0.60 to 0.60) |" in text
    assert "* peers: mosec 0.9\n" in text
    assert text.index("| mosec 0.9 | 10,000 |") < text.index("| mosec | 64 | 10,000 |")
    assert "0.60 (0.60 to 0.60)" in report.plain(RESULTS)
    assert "| 2 workers, p50 and p99 | 260 | 1.00, 2.00 | 3.00, 4.00 | 10,000, 10,000 |" in text


def test_skipped_measurements_are_listed_once() -> None:
    skipping = Round(None, [visited("service", skipped="no batches here")])
    missing = {"mosec": "it cannot be installed: no line"}
    results = Results(CONDITIONS, [skipping, skipping], [], None, {}, missing)
    assert results.skipped == ["no batches here", "mosec: it cannot be installed: no line"]
    for text in (report.plain(results), report.markdown(results)):
        assert text.count("Not measured: no batches here") == 1
        assert text.count("Not measured: mosec: it cannot be installed: no line") == 1


def test_a_client_bottleneck_is_reported_in_terminal_and_markdown() -> None:
    busy = Round(None, [visited("echo", measured(64, 20_000, 1e-5, client=0.95))])
    results = Results(CONDITIONS, [busy], [], None, {}, {})
    for text in (report.plain(results), report.markdown(results)):
        assert "The client was the bottleneck: echo, images, 64 connections" in text
