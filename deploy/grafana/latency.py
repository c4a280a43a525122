"""How long requests take, and where in them the time goes."""

from deploy.grafana.dashboard import Row
from deploy.grafana.panel import GREEN, RED, Limits, Panel, Target
from deploy.grafana.promql import PREDICTION, quantile, rate, total

_QUANTILES = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
_OBJECTIVE = Limits(GREEN, ((0.05, RED),))  # seconds, for 99 % of the requests


def _quantiles(histogram: str, *matchers: str) -> tuple[Target, ...]:
    return tuple(Target(quantile(part, histogram, *matchers), name) for part, name in _QUANTILES)


def _stage(title: str, description: str, histogram: str) -> Panel:
    return Panel(
        title=title,
        description=description,
        unit="s",
        targets=_quantiles(histogram),
        scale="log",
        width=8,
    )


LATENCY = Row(
    "Latency",
    (
        Panel(
            title="Duration of prediction requests",
            description="From a request's head to its answer's end: how many requests a second "
            "were over within each bucket's time. Refused requests are in it; they are quick. "
            "Bad: a second band that rises away from the first.",
            kind="heatmap",
            unit="s",
            targets=(
                Target(
                    total(rate("http_request_duration_seconds_bucket", PREDICTION), "le"), "{{le}}"
                ),
            ),
            width=12,
        ),
        Panel(
            title="Duration of prediction requests, quantiles",
            description="Of the same requests. The line is the objective for p99 at up to half the "
            "capacity. Bad: p99 above it. Quantiles are guessed inside a bucket: 0.05 s and its "
            "neighbours are exact, between them a straight line is drawn.",
            unit="s",
            targets=_quantiles("http_request_duration_seconds", PREDICTION),
            scale="log",
            limits=_OBJECTIVE,
            width=12,
        ),
        _stage(
            "Decode, a picture",
            "From picture file to 28x28 pixels. Bad: milliseconds for small pictures; large "
            "photos take tens of milliseconds.",
            "decode_seconds",
        ),
        _stage(
            "Queue, a picture",
            "In the batcher's queue: about as long as one model call when all is well. Bad: many "
            "times the time of a model call, for then more comes than the model answers.",
            "queue_wait_seconds",
        ),
        _stage(
            "Inference, a model call",
            "One call of the model, of as many pictures as waited. Bad: a change without a change "
            "of version, provider or batch size.",
            "inference_seconds",
        ),
    ),
)
