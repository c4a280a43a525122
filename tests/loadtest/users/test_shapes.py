"""The ramp ends when the service is overloaded, or else at the end of its time."""

import json
import subprocess
import sys

from tests.support.running import ROOT


def test_a_ramp_rises_until_the_service_is_overloaded() -> None:
    program = [sys.executable, "-m", "tests.loadtest.users.ticks"]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True)
    broken, held = json.loads(done.stdout)
    assert held == [[max(1, second), 1.0] for second in range(100)] + [None]
    # A tenth of the requests in locust's window is refused. The window is 10 seconds, without the
    # last two, and every second request is refused from second 30 on.
    assert broken == [*held[:36], None]
    assert "The service broke: 35 users, 10 requests/s, p99 5 ms, 1" in done.stderr
