"""Which batch sizes an engine is made ready for.

A GPU plans anew for each size it has not seen, and a CUDA graph is of one size. So there a batch is
padded to the next of a few sizes, 1, 2, 4, ... max_batch, at most twice its own. A CPU takes each
size as it is: a padded picture costs it as much as a real one.
"""

from itertools import takewhile

EACH_SIZE = 256  # pictures; up to here every batch size is warmed up on a CPU


def buckets(max_batch: int) -> tuple[int, ...]:
    """The powers of two below `max_batch`, and `max_batch`."""
    powers = takewhile(lambda size: size < max_batch, (2**power for power in range(64)))
    return (*powers, max_batch)


def each_size(max_batch: int) -> tuple[int, ...]:
    """Every size up to EACH_SIZE, then every EACH_SIZE-th: all would take minutes.

    The first run of each size plans its memory, which takes longer.
    """
    some = range(EACH_SIZE, max_batch, EACH_SIZE)
    return (*range(1, min(max_batch, EACH_SIZE)), *some, max_batch)
