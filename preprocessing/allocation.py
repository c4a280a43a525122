"""The C library's allocator: how it is set, and whether it has refused memory to this thread.

Large blocks are mapped one by one, so that the memory of a body or a decoded picture goes back to
the system when it is gone, whichever thread held it; by default the allocator keeps blocks of up
to 32 MiB once it has seen one, in as many arenas as there are threads.

OpenCV reports a picture that it finds no memory for like a damaged one. `errno` distinguishes them:
the allocator sets it when it refuses, and nothing resets it.
"""

import ctypes
import errno

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # parameters of mallopt
MAPPED = 2**19  # bytes of a block that is mapped on its own: large bodies, large pictures
# Bytes that an arena keeps at its top. By default they go back to the system after each picture,
# and the next one faults the pages in again, which takes 7 % of its preparation.
KEPT = 2**23
ARENAS = 2

# PyDLL keeps the interpreter's lock: another thread's turn in between costs more than the call.
_library = ctypes.PyDLL(None)
_errno = getattr(_library, "__errno_location", None) or getattr(_library, "__error")
_errno.restype = ctypes.POINTER(ctypes.c_int)


def return_memory_early() -> None:
    """Set the allocator so, where it is glibc's; call it before threads start."""
    mallopt = getattr(_library, "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, MAPPED)
        mallopt(M_TRIM_THRESHOLD, KEPT)
        mallopt(M_ARENA_MAX, ARENAS)


def was_refused() -> bool:
    """Whether this thread has been refused memory since the last call."""
    number = _errno()
    refused = bool(number[0] == errno.ENOMEM)
    number[0] = 0
    return refused
