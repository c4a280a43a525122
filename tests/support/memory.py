"""How much memory a service process uses, as the kernel counts it."""

import re
from pathlib import Path

from tests.support.running import Service


def resident(service: Service) -> int:
    """Bytes."""
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found.group(1)) * 1024
