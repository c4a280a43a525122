"""How long requests take, where the time goes, and how images are batched for the model."""

from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.timeseries import Panel

from deploy.grafana.dashboard import Row
from deploy.grafana.panel import (
    DASHED,
    GREEN,
    LOG,
    RED,
    SYMLOG,
    fixed,
    heatmap,
    limits,
    query,
    timeseries,
)
from deploy.grafana.promql import PREDICTION, metric, quantile, rate, total

_OBJECTIVE = limits(GREEN, (0.05, RED))  # seconds, for 99 % of the requests


def _quantiles(histogram: str, *matchers: str) -> list[Dataquery]:
    parts = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    return [query(quantile(part, histogram, *matchers), name) for part, name in parts]


def _stage(title: str, description: str, histogram: str) -> Panel:
    panel = timeseries(title, description, *_quantiles(histogram), unit="s", width=8, lowest=None)
    return panel.scale_distribution(LOG)


LATENCY = Row(
    "Latency",
    (
        heatmap(
            "Duration of prediction requests",
            "From a request's first byte to the end of its answer: requests per second by "
            "duration, including refused requests, which are fast. Bad: a second band that rises "
            "away from the first.",
            total(rate("http_request_duration_seconds_bucket", PREDICTION), "le"),
            unit="s",
        ),
        timeseries(
            "Duration of prediction requests, quantiles",
            "Quantiles of the same durations. The line is the objective for p99 at up to half the "
            "capacity. Bad: p99 above it. Quantiles are interpolated inside a bucket: bucket "
            "bounds such as 0.05 s are exact, values between them are estimates.",
            *_quantiles("http_request_duration_seconds", PREDICTION),
            unit="s",
            thresholds=_OBJECTIVE,
            lowest=None,
        ).scale_distribution(LOG),
        _stage(
            "Decode, per image",
            "From the image file to 28x28 pixels. Bad: milliseconds for small images; large "
            "photos take tens of milliseconds.",
            "decode_seconds",
        ),
        _stage(
            "Queue, per image",
            "Time in the batcher's queue; normally about as long as one model call. Bad: many "
            "times the duration of a model call, which means that more images arrive than the "
            "model can process.",
            "queue_wait_seconds",
        ),
        _stage(
            "Inference, per model call",
            "One call of the model for a whole batch. Bad: a change without a change of version, "
            "provider or batch size.",
            "inference_seconds",
        ),
    ),
)

BATCHING = Row(
    "Batches and queue",
    (
        heatmap(
            "Batch sizes",
            "Model calls per second by the number of images in the batch. Large batches are how a "
            "busy service keeps up. Bad: all batches at DIGITSERVE_MAX_BATCH while the queue "
            "grows.",
            total(rate("batch_size_bucket"), "le"),
            unit="short",
            width=8,
        ),
        timeseries(
            "Images and model calls",
            "Images predicted and model calls made per second; their ratio is the mean batch "
            "size. Bad: as many calls as images while clients wait.",
            query(total(rate("batch_size_sum")), "images"),
            query(total(rate("batch_size_count")), "model calls"),
            unit="cps",
            width=8,
        ),
        timeseries(
            "Queue",
            "Images waiting for the model when Prometheus scrapes, and the limit, summed over the "
            "instances. Bad: half way to the limit; at the limit requests are refused with 503. "
            "Peaks between two scrapes show in the time spent in the queue.",
            query(total(metric("queue_depth")), "waiting"),
            query(total(metric("queue_limit")), "limit"),
            unit="short",
            width=8,
        )
        .scale_distribution(SYMLOG)
        .override_by_name("limit", DASHED)
        .override_by_regexp("^limit$", fixed(RED)),
    ),
)
