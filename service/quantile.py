"""A quantile of a histogram as Prometheus reckons it: evenly within the bucket it falls into."""

from collections.abc import Iterable


def quantile(share: float, bounds: Iterable[float], counts: Iterable[float]) -> float | None:
    """What `share` of all stayed below; None if there were none.

    `counts` of each bucket alone. The last may have no bound: what is in it is above all others,
    nobody knows how far, and counts as the highest of them.
    """
    counts = list(counts)
    rank = share * sum(counts)
    if rank <= 0:
        return None
    below = start = 0.0  # how many are below this bucket, and where it starts
    for bound, count in zip(bounds, counts, strict=False):
        if below + count >= rank:
            return start + (bound - start) * (rank - below) / count
        below, start = below + count, bound
    return start
