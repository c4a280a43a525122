"""What all processes of the service use together: CPU time, memory, open files.

The supervisor has waited for every worker that died, so the kernel keeps their CPU time with the
supervisor's own, and the sum over supervisor and living workers never falls. Memory is the sum of
what is resident in each: pages that several share count in each. Linux only, as for one process.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client import ProcessCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

ADD_UP = {
    "process_cpu_seconds",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_open_fds",
}
WAITED_FOR = slice(13, 15)  # fields of /proc/<pid>/stat behind the name: CPU of ended children
TICKS = os.sysconf("SC_CLK_TCK")  # a second


class Processes(Collector):
    def __init__(self, workers: Callable[[], list[int]]) -> None:
        self._workers = workers  # their process ids
        self._supervisor = os.getppid()
        self._asked = self._supervisor
        self._one = ProcessCollector(pid=lambda: self._asked, registry=None)

    def collect(self) -> Iterator[Metric]:
        """The numbers of the supervisor, the workers' added to those that add up."""
        while True:
            buried = self._buried()
            families = {family.name: family for family in self._numbers_of(self._supervisor)}
            sums = {name: families[name].samples[0].value for name in ADD_UP & families.keys()}
            for pid in self._workers():
                for family in self._numbers_of(pid):
                    if family.name in sums:
                        sums[family.name] += family.samples[0].value
            if buried == self._buried():  # else one may be missing, or in it twice
                break
        for name, total in sums.items():
            if name == "process_cpu_seconds":
                total += buried
            first = families[name].samples[0]
            families[name].samples = [Sample(first.name, first.labels, total)]
        yield from families.values()

    def _numbers_of(self, pid: int) -> list[Metric]:
        self._asked = pid
        return list(self._one.collect())

    def _buried(self) -> float:
        """CPU seconds of the workers that have died."""
        try:
            stat = Path(f"/proc/{self._supervisor}/stat").read_text()
        except OSError:
            return 0.0
        return sum(map(int, stat.rpartition(")")[2].split()[WAITED_FOR])) / TICKS
