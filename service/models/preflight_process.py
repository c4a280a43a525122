"""Tries a version, and reports whether it may be loaded: see `preflight`, which starts this."""

import os
import resource
import signal
import sys
import threading
import time
from contextlib import suppress
from math import ceil
from pathlib import Path

from pydantic import ValidationError

from contract.card import ModelCard
from contract.version import Version
from service.models.load_limits import PAGE, on_cpu
from service.models.loading import GateFailed, prove
from service.models.preflight import Request, Verdict
from service.settings import Settings

DESCRIPTORS = 256  # that may be open; CUDA has some 100
PER_THREAD = 80 * 2**20  # bytes of address space: its stack, and what the allocator sets aside
GRACE = 2  # seconds after which the kernel ends what its parent has not
LOOK = 0.2  # seconds between two looks whether the parent is still there
MOST = 4000  # letters of a reason


def main() -> int:
    # What a library prints must not be taken for the verdict.
    verdict_to = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        request = Request.model_validate_json(sys.stdin.buffer.read())
    except ValidationError:  # the parent has ended before it wrote all of it
        return 1
    settings = Settings(**request.settings)  # type: ignore[arg-type]
    limited = bound(request, settings)
    version = Version(request.number, request.folder, ModelCard.from_json(request.card))
    verdict = Verdict()
    try:
        prove(version, settings)
    except GateFailed as failure:
        reason = str(failure)[:MOST]
        if limited and "alloc" in reason.lower():  # bad_alloc, "failed to allocate"
            reason += f" ({request.memory // 2**20} MiB are the limit of DIGITSERVE_LOAD_MEMORY)"
        verdict = Verdict(gate=failure.gate, reason=reason)
    with suppress(BrokenPipeError), verdict_to:  # else the parent has ended
        verdict_to.write(verdict.model_dump_json().encode())
        verdict_to.flush()
    os._exit(0)  # without waiting for threads of the graph


def bound(request: Request, settings: Settings) -> bool:
    """Bounds that hold without the parent; returns whether the address space has one."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(ceil(request.seconds) + GRACE)
    threading.Thread(target=_end_with, args=[request.parent], daemon=True).start()
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, DESCRIPTORS)
    try:
        # Where memory runs out, this process goes and not the service.
        Path("/proc/self/oom_score_adj").write_text("1000")
        space = int(Path("/proc/self/statm").read_text().split()[0]) * PAGE
    except OSError:  # not Linux
        return False
    # Resident memory is what counts, and the parent watches it; this is for what is asked for in
    # one piece. The address space of a GPU is far larger than its memory, and has no bound.
    if not on_cpu(settings):
        return False
    _limit(resource.RLIMIT_AS, space + 2 * request.memory + settings.threads * PER_THREAD)
    return True


def _limit(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
