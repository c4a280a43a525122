"""The processes that serve: how many, what they take, and whether they run as was asked."""

from deploy.grafana.dashboard import Row
from deploy.grafana.panel import Panel, Target, bad_above_none, bad_from
from deploy.grafana.promql import events, largest, metric, rate, total

_EACH = "{{instance}} {{worker}}"  # worker: only where there are several
_OPEN = f"{metric('process_open_fds')} / {metric('process_max_fds')}"

PROCESSES = Row(
    "Processes",
    (
        Panel(
            title="Workers",
            description="Processes that serve, by instance. Bad: fewer than DIGITSERVE_WORKERS.",
            unit="short",
            decimals=0,
            targets=(Target(metric("workers"), "{{instance}}"),),
            width=8,
        ),
        Panel(
            title="Workers replaced",
            description="Processes that took the place of one that ended, by instance. Bad: any "
            "that nobody asked for; the log of the supervisor says why.",
            unit="short",
            targets=(
                Target(
                    events("worker_restarts_total", by="instance"),
                    "{{instance}}",
                ),
            ),
            bars=True,
            limits=bad_above_none(),
            width=8,
        ),
        Panel(
            title="Fallbacks",
            description="Models loaded since the start that serve otherwise than was asked, by "
            "what of them. Bad: any; the log says why.",
            unit="short",
            decimals=0,
            targets=(Target(total(metric("engine_fallback_total"), "what"), "{{what}}"),),
            limits=bad_above_none(),
            width=8,
        ),
        Panel(
            title="CPU",
            description="Cores that each process keeps busy. Bad: all the cores it may use, for "
            "long: then requests wait for the CPU wherever they are.",
            unit="short",
            targets=(
                Target(total(rate("process_cpu_seconds_total"), "instance", "worker"), _EACH),
            ),
            width=8,
        ),
        Panel(
            title="Memory",
            description="Resident memory of each process; what several share counts in each. Bad: "
            "growth that does not end.",
            unit="bytes",
            targets=(
                Target(total(metric("process_resident_memory_bytes"), "instance", "worker"), _EACH),
            ),
            width=8,
        ),
        Panel(
            title="Open files",
            description="Of those that the system allows a process, the share that is open; each "
            "connection is one. Bad: near the limit, for then no connection is accepted.",
            unit="percentunit",
            targets=(Target(largest(_OPEN, "instance", "worker"), _EACH),),
            limits=bad_from(0.7, 0.9),
            width=8,
        ),
    ),
)
