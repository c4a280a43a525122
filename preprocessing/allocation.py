"""The C library's allocator: its options, and whether it has refused memory to this thread.

The service maps large blocks one by one, so that the memory of a body or a decoded image returns to
the system when it is freed, whichever thread used it. By default the allocator keeps blocks of up
to 32 MiB once it has seen one, in as many arenas as there are threads.

OpenCV reports an image for which there is no memory like a damaged one. `errno` distinguishes them:
the allocator sets it when it refuses memory, and nothing resets it.
"""

import ctypes
import errno

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # parameters of mallopt
# Bytes of a block that is mapped on its own: large bodies, large images. Mapped blocks are faulted
# in page by page: with 2**19 that took up to 2 of the 9 ms for a JPEG of 640x480
# (mobilenet_v3_small behind HTTP, 64 connections, 2 cores).
MAPPED = 2**22
# Bytes that an arena keeps at its top. By default they return to the system after each image, and
# the next image faults the pages in again, which takes 7 % of its preparation.
KEPT = 2**23
ARENAS = 2
LARGE = 2**30  # bytes; beyond any tensor of a training step

# PyDLL keeps the interpreter's lock: switching to another thread costs more than the call.
_library = ctypes.PyDLL(None)
_errno = getattr(_library, "__errno_location", None) or getattr(_library, "__error")
_errno.restype = ctypes.POINTER(ctypes.c_int)


def return_memory_early() -> None:
    """Set the options for the service; call it before threads start."""
    _set({M_MMAP_THRESHOLD: MAPPED, M_TRIM_THRESHOLD: KEPT, M_ARENA_MAX: ARENAS})


def keep_freed_memory() -> None:
    """Set the options for a training, whose next step needs the memory of the last one again.

    By default large blocks return to the system after a step and are faulted in again page by page,
    which takes 10 to 20 % of a `compact` step's time on a 2-core AMD EPYC.
    """
    _set({M_MMAP_THRESHOLD: LARGE, M_TRIM_THRESHOLD: LARGE})


def _set(options: dict[int, int]) -> None:
    mallopt = getattr(_library, "mallopt", None)
    if mallopt is not None:  # only glibc has it
        for option, value in options.items():
            mallopt(option, value)


def was_refused() -> bool:
    """Whether this thread has been refused memory since the last call."""
    number = _errno()
    refused = bool(number[0] == errno.ENOMEM)
    number[0] = 0
    return refused
