"""`make bench-scale` measures real replicas behind a real HAProxy."""

import json
from pathlib import Path

from loadtest.bench_scale.__main__ import main
from tests.fixtures import MODELS
from tests.interop.programs import required


def test_replicas_and_their_balancer_are_measured(tmp_path: Path) -> None:
    required("haproxy")
    found = tmp_path / "found.json"
    short = ["--rounds", "1", "--replicas", "2", "--seconds", "0.5", "--client", "asyncio"]
    assert main(["--models", str(MODELS), *short, "--json", str(found)]) == 0
    direct, one, two = json.loads(found.read_text())["medians"]
    assert (direct["balanced"], direct["balancer_cpu"]) == (False, 0)
    assert one["replica_cpu"] > 0
    assert one["balancer_cpu"] > 0
    assert (two["replicas"], two["balanced"]) == (2, True)
