"""CPU time, memory, open files and start time of each process of the service.

`process_*` with the label `worker`: the slot, or "supervisor". A replacement worker continues under
its slot's label with numbers of its own, as Prometheus expects of a restarted process: CPU time
falls to 0, and `process_start_time_seconds` says when. Linux only.
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
        self._pid = self._supervisor
        self._collector = ProcessCollector(pid=lambda: self._pid, registry=None)

    def collect(self) -> Iterator[Metric]:
        """Of a process that is just gone there is nothing, or not all of it."""
        families: dict[str, Metric] = {}
        for worker, pid in {SUPERVISOR: self._supervisor, **self._workers()}.items():
            self._pid = pid
            for family in self._collector.collect():
                (sample,) = family.samples
                whole = families.setdefault(family.name, family)
                if whole is family:
                    family.samples = []
                whole.samples.append(Sample(sample.name, {"worker": worker}, sample.value))
        yield from families.values()
