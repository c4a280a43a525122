"""How fast batches follow one another, and so when what waits now will have left."""


class Pace:
    def __init__(self, max_batch: int, *, waits: bool) -> None:
        """`waits`: whether batches wait for company, which is no part of their pace."""
        self._max_batch = max_batch
        self._waits = waits
        self._finished = 0.0  # when the last batch was done, on perf_counter
        self.seconds = 0.0  # from one batch to the next while the queue is never empty, smoothed

    def keep(self, arrived: float, left: float, now: float) -> None:
        """A batch is done: its first pictures came at `arrived`, and it `left` for the model."""
        seconds = now - (left if self._waits else max(arrived, self._finished))
        self._finished = now
        self.seconds = 0.8 * self.seconds + 0.2 * seconds if self.seconds else seconds

    def until_empty(self, pictures: int, *, busy: bool) -> float:
        """Seconds until as many will have left, behind the batch that keeps the model busy."""
        return (pictures / self._max_batch + busy) * self.seconds
