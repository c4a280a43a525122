"""What each process of the service uses: CPU time, memory, open files, and since when it is there.

`process_*` with the label `worker`: the slot, or "supervisor". A worker that takes another's place
goes on under its label with numbers of its own, as Prometheus expects of a process that started
anew: CPU time falls to 0, and `process_start_time_seconds` says when. Linux only, as alone.
"""

import os
from collections.abc import Callable, Iterator

from prometheus_client import ProcessCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

SUPERVISOR = "supervisor"


class Processes(Collector):
    def __init__(self, workers: Callable[[], dict[str, int]]) -> None:
        self._workers = workers  # their process ids, by slot
        self._supervisor = os.getppid()
        self._asked = self._supervisor
        self._one = ProcessCollector(pid=lambda: self._asked, registry=None)

    def collect(self) -> Iterator[Metric]:
        """Of a process that is just gone there is nothing, or not all of it."""
        families: dict[str, Metric] = {}
        for worker, pid in {SUPERVISOR: self._supervisor, **self._workers()}.items():
            self._asked = pid
            for family in self._one.collect():
                (sample,) = family.samples
                whole = families.setdefault(family.name, family)
                if whole is family:
                    family.samples = []
                whole.samples.append(Sample(sample.name, {"worker": worker}, sample.value))
        yield from families.values()
