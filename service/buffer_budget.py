"""The memory of a worker for what clients send and do not read, bounded over all connections.

    incomplete heads, requests behind another, large heads, bodies, unread answers --> one Budget

Each is bounded for itself, and connections by MAX_CONNECTIONS; the product would be far too much.
"""

from service.batching.interface import BufferFull


class Budget:
    def __init__(self, limit: int) -> None:
        """Of that many bytes at a time."""
        self.limit = limit
        self.reserved = 0


class Reservation:
    """The part of the budget that one holder has."""

    __slots__ = ("_budget", "size")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.size = 0

    def take(self, more: int) -> None:
        """Raises BufferFull if there is no room for `more` bytes, and then nothing changes."""
        if more > 0 and self._budget.reserved + more > self._budget.limit:
            raise BufferFull(
                "requests that arrive or wait, and answers that are not read, fill the memory "
                "for them (DIGITSERVE_MAX_BUFFERED)",
                1.0,
            )
        self._budget.reserved += more
        self.size += more

    def resize(self, size: int) -> None:
        """Raises BufferFull if there is no room for the difference."""
        if size != self.size:
            self.take(size - self.size)

    def release(self) -> None:
        self._budget.reserved -= self.size
        self.size = 0
