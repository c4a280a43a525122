"""The memory of a service process, as counted by the kernel."""

import re
from pathlib import Path

from tests.support.running import Service


def resident(service: Service) -> int:
    """Resident memory in bytes."""
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found.group(1)) * 1024
