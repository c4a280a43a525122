"""What a row of a version's statistics has, in this order, and how large the table of one is.

Seconds of requests are summed over requests; seconds of runs over runs, whose parts each of a run's
requests went through as well. The supervisor reserves the tables: nothing heavy here.
"""

from service.settings import Settings

RUNS, REQUESTS, QUEUED, PREPARED, COMPUTED, DELIVERED = range(6)
EACH_PREPARED, EACH_COMPUTED, EACH_DELIVERED = range(6, 9)
COLUMNS = 9
FAILED, FAILED_SECONDS, LAST = range(3)  # of row 0, for no batch is empty

VERSIONS = 16  # that have statistics


def rows(settings: Settings) -> int:
    """One for each size that a batch may have, and row 0."""
    return max(settings.max_batch, settings.max_pictures) + 1


def tables_size(settings: Settings) -> int:
    """Bytes of a worker's tables, with their keys."""
    return VERSIONS * (rows(settings) * COLUMNS * 8 + 128)
