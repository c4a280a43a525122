"""How long to leave a version alone that has just failed: twice as long each time."""

import time

LONGEST_PAUSE = 60.0  # seconds


class Backoff:
    """Remembers what failed last. Anything else may be tried at once."""

    def __init__(self, pause: float) -> None:
        self._first_pause = pause  # seconds
        self._number: int | None = None  # what failed last
        self._pause = 0.0  # seconds; 0: nothing failed
        self._at = 0.0  # on time.monotonic

    def due(self, number: int | None) -> bool:
        """Whether to try the version now; None is that nobody knows which is current."""
        return not self._pause or number != self._number or time.monotonic() >= self._at

    def failed(self, number: int | None) -> None:
        if number != self._number:
            self.forget()
        self._number = number
        self._pause = min(LONGEST_PAUSE, 2 * (self._pause or self._first_pause))
        self._at = time.monotonic() + self._pause

    def forget(self) -> None:
        self._number, self._pause, self._at = None, 0.0, 0.0
