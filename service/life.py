"""Where the service is in its life: `server` writes it, probes and front read it."""

import time
from dataclasses import dataclass, field


class CannotStart(Exception):
    """Something at start is not what it must be; the message says what and how to mend it."""


@dataclass
class Life:
    began: float = field(default_factory=time.time)  # seconds since 1970
    draining: bool = False  # told to stop, still answering
