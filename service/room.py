"""Memory for bodies that are being received, bounded over all requests together.

Each is bounded by MAX_BODY, and connections by MAX_CONNECTIONS; the product would be far too much.
"""

from service.waiting import BufferFull


class Room:
    def __init__(self, most: int) -> None:
        """For that many bytes at a time."""
        self.most = most
        self.taken = 0


class Share:
    """What one request has of it."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._taken = 0

    def take(self, size: int) -> None:
        """BufferFull if there is no room for `size` bytes more."""
        if self._room.taken + size > self._room.most:
            raise BufferFull(
                "the bodies of other requests leave no room (DIGITSERVE_MAX_BUFFERED)", 1.0
            )
        self._room.taken += size
        self._taken += size

    def give_back(self) -> None:
        self._room.taken -= self._taken
        self._taken = 0
