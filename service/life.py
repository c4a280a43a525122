"""Where the service is in its life: `server` writes it, probes and front read it."""

import time
from dataclasses import dataclass, field


@dataclass
class Life:
    began: float = field(default_factory=time.time)  # seconds since 1970
    draining: bool = False  # told to stop, still answering
