"""What the GPUs do, where there are any: NVML tells. The whole GPU, whoever uses it."""

from deploy.grafana.dashboard import Row
from deploy.grafana.panel import Panel, Target, bad_from
from deploy.grafana.promql import largest, metric

_EACH = "{{instance}} GPU {{gpu}}"


def _by_gpu(name: str) -> str:
    """Largest: workers of one instance tell of the same GPU."""
    return largest(metric(name), "instance", "gpu")


GPU = Row(
    "GPU (empty where there is none)",
    (
        Panel(
            title="GPU utilisation",
            description="Share of the time in which any kernel ran. Bad: near 100 % while the "
            "queue grows; near 0 while there is traffic.",
            unit="percentunit",
            highest=1,
            targets=(Target(_by_gpu("gpu_utilization_ratio"), _EACH),),
            width=6,
        ),
        Panel(
            title="GPU memory",
            description="Used, and what there is. A switch needs room for two models. Bad: close "
            "to the limit, for then the next switch fails.",
            unit="bytes",
            targets=(
                Target(_by_gpu("gpu_memory_used_bytes"), f"{_EACH} used"),
                Target(_by_gpu("gpu_memory_total_bytes"), f"{_EACH} total"),
            ),
            width=6,
        ),
        Panel(
            title="GPU power",
            description="What the GPU draws. Bad: at the card's limit for long, for then it slows "
            "down.",
            unit="watt",
            targets=(Target(_by_gpu("gpu_power_watts"), _EACH),),
            width=6,
        ),
        Panel(
            title="GPU temperature",
            description="Of the chip. Bad: from about 85 degrees on, most cards slow down.",
            unit="celsius",
            targets=(Target(_by_gpu("gpu_temperature_celsius"), _EACH),),
            limits=bad_from(80, 85),
            width=6,
        ),
    ),
)
