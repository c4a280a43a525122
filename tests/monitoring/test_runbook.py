"""Every command of the runbook that needs no container runs as printed."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.monitoring.binaries import PROMTOOL
from tests.monitoring.prometheus import Prometheus
from tests.monitoring.rules import sections
from tests.support.running import TOKEN, Service

BLOCKS = {
    f"{anchor}-{number}": block
    for anchor, text in sections().items()
    for number, block in enumerate(re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
}
# As the runbook defines them, but without containers; HTTP errors must not pass.
WITHOUT_CONTAINERS = """
query() { "$PROMTOOL" query instant "$PROMETHEUS" "$1"; }
curl() { command curl --fail "$@"; }
"""


@pytest.mark.parametrize("name", BLOCKS)
def test_a_code_block_of_the_runbook_runs(
    name: str, watched: Service, prometheus: Prometheus, tmp_path: Path
) -> None:
    surroundings = {
        "SERVICE": watched.url,
        "PROMETHEUS": prometheus.url,
        "PROMTOOL": str(PROMTOOL),
        "DIGITSERVE_ADMIN_TOKEN": TOKEN,
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", WITHOUT_CONTAINERS + BLOCKS[name]],
        cwd=tmp_path,
        env=os.environ | surroundings,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
