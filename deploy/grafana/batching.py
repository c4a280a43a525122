"""How pictures become model calls, and how much room is left for more."""

from deploy.grafana.dashboard import Row
from deploy.grafana.panel import RED, Panel, Target
from deploy.grafana.promql import metric, rate, total

_PICTURES = total(rate("batch_size_sum"))
_CALLS = total(rate("batch_size_count"))

BATCHING = Row(
    "Batches and queue",
    (
        Panel(
            title="Batch sizes",
            description="Model calls a second by how many pictures they held, up to each bucket's "
            "number. Large batches are how a busy service keeps up. Bad: all at DIGITSERVE_"
            "MAX_BATCH while the queue grows.",
            kind="heatmap",
            unit="short",
            targets=(Target(total(rate("batch_size_bucket"), "le"), "{{le}}"),),
            width=8,
        ),
        Panel(
            title="Pictures and model calls",
            description="Pictures answered and model calls made a second; their ratio is the mean "
            "batch. Bad: as many calls as pictures while clients wait.",
            unit="cps",
            targets=(Target(_PICTURES, "pictures"), Target(_CALLS, "model calls")),
            width=8,
        ),
        Panel(
            title="Queue",
            description="Pictures that wait for the model when Prometheus looks, and how many may, "
            "summed over the instances. Bad: half way to the limit; at the limit, 503. What "
            "comes and goes between two looks is seen in the time spent in the queue.",
            unit="short",
            targets=(
                Target(total(metric("queue_depth")), "waiting"),
                Target(total(metric("queue_limit")), "limit", dashed=True),
            ),
            scale="symlog",
            colours={"^limit$": RED},
            width=8,
        ),
    ),
)
