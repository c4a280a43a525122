"""The state of the machine's GPUs, as NVIDIA's management library (NVML) reports it.

    a thread, once a second --pynvml--> the last reading --> scrapes

A driver takes milliseconds to answer, or forever if it hangs, so no scrape waits for it: it gets
the last reading, and none once that is old. What a GPU does not report is left out and logged once.
Without the package or the driver there are no such metrics. All GPUs that NVML sees are included,
whichever of them the service uses; `gpu` is NVML's index.
"""

import logging
from collections.abc import Callable, Iterator
from threading import Event, Thread
from time import monotonic
from typing import Any

from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

EVERY = 1.0  # seconds between two readings
OLD = 10.0  # seconds after which a reading is no longer exposed

log = logging.getLogger("service")


# By name: the meaning, and how it is read, of pynvml and a device's handle.
FIELDS: dict[str, tuple[str, Callable[[Any, Any], float]]] = {
    "gpu_utilization_ratio": (
        "Share of the time in which the GPU ran a kernel",
        lambda nvml, gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu / 100,
    ),
    "gpu_memory_used_bytes": (
        "Memory of the GPU in use, by all programs",
        lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).used,
    ),
    "gpu_memory_total_bytes": (
        "Memory of the GPU",
        lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).total,
    ),
    "gpu_power_watts": (
        "Power that the GPU draws",
        lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1000,
    ),
    "gpu_temperature_celsius": (
        "Temperature of the GPU",
        lambda nvml, gpu: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU),
    ),
}
Reading = dict[tuple[str, int], float]  # by name of the field and index of the GPU


class Gpus(Collector):
    def __init__(self, *, needed: bool) -> None:
        """`needed`: the service runs on a GPU, so to see none is worth a warning."""
        self._level = logging.WARNING if needed else logging.DEBUG
        self._reading: Reading = {}
        self._read_at = 0.0
        self._logged: set[str] = set()  # what is not reported
        self._stop = Event()
        self._thread = Thread(target=self._watch, name="gpus", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()  # the thread is not waited for: it may hang in the driver

    def collect(self) -> Iterator[GaugeMetricFamily]:
        reading = self._reading if monotonic() - self._read_at < OLD else {}
        for field, (meaning, _) in FIELDS.items():
            family = GaugeMetricFamily(f"digitserve_{field}", meaning, labels=["gpu"])
            for (name, gpu), value in reading.items():
                if name == field:
                    family.add_metric([str(gpu)], value)
            if family.samples:
                yield family

    def _watch(self) -> None:
        try:
            import pynvml as nvml  # only environments for a GPU have it

            nvml.nvmlInit()
        except Exception as error:  # no package, no driver, or one that does not fit the other
            log.log(self._level, "no metrics of a GPU: %s (docs/how-to/gpu.md)", error)
            return
        while not self._stop.is_set():
            self._reading, self._read_at = self._read(nvml), monotonic()
            self._stop.wait(EVERY)

    def _read(self, nvml: Any) -> Reading:
        reading: Reading = {}
        try:
            count = nvml.nvmlDeviceGetCount()
        except nvml.NVMLError as error:
            self._log_once("no GPU can be read", error)
            return reading
        for gpu in range(count):
            try:
                handle = nvml.nvmlDeviceGetHandleByIndex(gpu)
            except nvml.NVMLError as error:
                self._log_once(f"GPU {gpu} cannot be read", error)
                continue
            for field, (_, read) in FIELDS.items():
                try:
                    reading[field, gpu] = float(read(nvml, handle))
                # The second: a package of another age may lack a function.
                except (nvml.NVMLError, AttributeError) as error:
                    self._log_once(f"GPU {gpu} does not report {field}", error)
        return reading

    def _log_once(self, what: str, error: Exception) -> None:
        if what not in self._logged:
            self._logged.add(what)
            log.warning("%s: %s", what, error)
