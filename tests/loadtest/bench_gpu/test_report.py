"""The results as text: rates, utilisation of the GPU, and what was skipped."""

import json

from loadtest.bench_gpu.measure import Crew, Engine, GpuUse, Row, Runs
from loadtest.bench_gpu.report import ABSENT, MIB, SERVICE, GpuResults
from loadtest.client.result import Load
from tests.loadtest.bench.test_report import CONDITIONS

LOAD = Load(
    connections=16,
    seconds=2.0,
    answers=110,
    refused=10,
    broken=1,
    p50=0.005,
    p99=0.02,
    slowest=1.0,
    client_cpu=1.0,
)
USE = GpuUse(busy=0.25, memory_used=1000 * MIB, memory_total=8000 * MIB)
CALL = {
    "provider": "cuda",
    "precision": "fp32",
    "way": "graph",
    "pictures": 64,
    "pictures_per_second": 1e6,
    "p50_seconds": 64e-6,
    "p99_seconds": 70e-6,
    "calls": 100,
}
ENGINE = Engine(
    onnxruntime="1.0",
    results=[CALL | {"precision": "fp16"}, CALL],
    gpu=[
        {"precision": "fp32", "way": "graph", "busy": None, "memory_used": MIB, "memory_total": MIB}
    ],
    left_out=["fp16, plain: no such file"],
)
CREW = Crew(
    workers=2,
    clients=2,
    runs=Runs("cuda", "fp16", "graph"),
    memory=500 * MIB,
    rows=[
        Row(64, LOAD, cores=1.5, gpu=USE),
        Row(1, LOAD, cores=1.5, gpu=None),
    ],
    skipped=["256: too large"],
)
RESULTS = GpuResults(CONDITIONS, "cuda", ENGINE, [CREW], ["workers: 4 and more: no memory"])


def test_a_row_has_rate_latency_cores_and_utilisation() -> None:
    row = (
        "2", "64, binary", "16", "3,200", "5.00", "20.00", "1.5", "0.5 of 2",
        "25%", "1,000", "7,000", "500", "10", "1",
    )  # fmt: skip
    assert len(row) == len(SERVICE)
    assert f"| {' | '.join(row)} |" in RESULTS.markdown()


def test_engines_are_listed_with_float32_first_and_their_utilisation() -> None:
    lines = RESULTS.markdown().splitlines()
    first = lines.index("| fp32 | graph | 64 | 1,000,000 | 64 | 70 |")
    assert lines[first + 1].startswith("| fp16 | graph | 64 |")
    assert "| fp32 | graph | - | 1 | 0 |" in lines


def test_the_conditions_name_the_engine_that_ran() -> None:
    text = RESULTS.markdown()
    assert text.startswith("# On a GPU, measured\n")
    for reported in ("A Processor", "service runs: cuda, fp16, graph"):
        assert reported in text


def test_skipped_measurements_are_listed_in_every_format() -> None:
    notes = [
        "fp16, plain: no such file",
        "256: too large",
        f"how much of the GPU is left: {ABSENT}",
        "workers: 4 and more: no memory",
    ]
    assert json.loads(RESULTS.json())["notes"] == notes
    for note in notes:
        assert f"Not measured: {note}" in RESULTS.plain()
        assert f"Not measured: {note}" in RESULTS.markdown()


def test_the_json_file_has_the_rates() -> None:
    (crew,) = json.loads(RESULTS.json())["crews"]
    assert [row["pictures_per_second"] for row in crew["rows"]] == [3200, 50]
