"""The processes that serve and what they consume, and the GPUs."""

from deploy.grafana.dashboard import Row
from deploy.grafana.panel import ZERO_EXPECTED, bad_from, bars, query, timeseries
from deploy.grafana.promql import events, largest, metric, rate, total

_PROCESS = "{{instance}} {{worker}}"  # worker: only where there are several
_GPU = "{{instance}} GPU {{gpu}}"
_OPEN_FILES = f"{metric('process_open_fds')} / {metric('process_max_fds')}"

PROCESSES = Row(
    "Processes",
    (
        timeseries(
            "Workers",
            "Processes that serve, by instance. Bad: fewer than DIGITSERVE_WORKERS.",
            query(metric("workers"), "{{instance}}"),
            unit="short",
            width=8,
        ).decimals(0),
        bars(
            timeseries(
                "Workers replaced",
                "Processes that replaced one that ended, by instance. Bad: any that nobody "
                "planned; the supervisor's log gives the reason.",
                query(events("worker_restarts_total", by="instance"), "{{instance}}"),
                unit="short",
                width=8,
                thresholds=ZERO_EXPECTED,
            )
        ),
        timeseries(
            "Fallbacks",
            "Models loaded since the start that run without a configured feature, by feature. "
            "Bad: any; the log gives the reason.",
            query(total(metric("engine_fallback_total"), "what"), "{{what}}"),
            unit="short",
            width=8,
            thresholds=ZERO_EXPECTED,
        ).decimals(0),
        timeseries(
            "CPU",
            "CPU cores in use by each process. Bad: all the cores that it may use, over a long "
            "time; requests then wait for the CPU in every stage.",
            query(total(rate("process_cpu_seconds_total"), "instance", "worker"), _PROCESS),
            unit="short",
            width=8,
        ),
        timeseries(
            "Memory",
            "Resident memory of each process; shared memory counts in each. Bad: steady growth.",
            query(total(metric("process_resident_memory_bytes"), "instance", "worker"), _PROCESS),
            unit="bytes",
            width=8,
        ),
        timeseries(
            "Open files",
            "Open file descriptors as a share of each process's limit; each connection is one. "
            "Bad: near the limit, where no connection is accepted any more.",
            query(largest(_OPEN_FILES, "instance", "worker"), _PROCESS),
            unit="percentunit",
            width=8,
            thresholds=bad_from(0.7, 0.9),
        ),
        timeseries(
            "Reads of the model store that hang",
            "Reads that did not end by DIGITSERVE_STORE_TIMEOUT and still block a thread. Bad: "
            "any; the disk or file server of the store does not answer, versions cannot be "
            "switched, and the routes that list versions answer 503.",
            query(total(metric("store_reads_stuck"), "instance"), "{{instance}}"),
            unit="short",
            width=8,
            thresholds=ZERO_EXPECTED,
        ).decimals(0),
        timeseries(
            "Series without room",
            "Series missing from /metrics since the start because the memory that workers share "
            "for their metrics is full. Bad: any; panels and alerts then miss what these series "
            "count. /v1/status names them.",
            query(total(metric("series_without_room_total"), "instance"), "{{instance}}"),
            unit="short",
            width=8,
            thresholds=ZERO_EXPECTED,
        ).decimals(0),
        timeseries(
            "Messages of native libraries",
            "Lines per second that libraries such as libpng, ONNX Runtime and CUDA write to stdout "
            "or stderr; the log has them as events of `native`. Damaged images cause some. Bad: a "
            "rise without damaged images, for example errors of the GPU driver.",
            query(total(rate("native_messages_total"), "instance"), "{{instance}}"),
            unit="cps",
            width=8,
        ),
    ),
)


def _by_gpu(name: str) -> str:
    """The largest value, because the workers of one instance report the same GPU."""
    return largest(metric(name), "instance", "gpu")


GPU = Row(
    "GPU (empty where there is none)",
    (
        timeseries(
            "GPU utilisation",
            "Share of the time in which any kernel ran. NVML reports the whole GPU, for all "
            "programs that use it. Bad: near 100 % while the queue grows; near 0 under traffic.",
            query(_by_gpu("gpu_utilization_ratio"), _GPU),
            unit="percentunit",
            width=6,
        ).max(1),
        timeseries(
            "GPU memory",
            "Used and total memory. A switch of versions needs memory for two models. Bad: close "
            "to the total, where the next switch fails.",
            query(_by_gpu("gpu_memory_used_bytes"), f"{_GPU} used"),
            query(_by_gpu("gpu_memory_total_bytes"), f"{_GPU} total"),
            unit="bytes",
            width=6,
        ),
        timeseries(
            "GPU power",
            "Power draw of the GPU. Bad: at the card's limit for long, where it slows down.",
            query(_by_gpu("gpu_power_watts"), _GPU),
            unit="watt",
            width=6,
        ),
        timeseries(
            "GPU temperature",
            "Temperature of the chip. Bad: from about 85 degrees on most cards slow down.",
            query(_by_gpu("gpu_temperature_celsius"), _GPU),
            unit="celsius",
            width=6,
            thresholds=bad_from(80, 85),
        ),
    ),
)
