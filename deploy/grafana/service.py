"""The service dashboard: is it up, fast, full? Traffic, errors, latency, queue, processes."""

from collections.abc import Callable

from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.timeseries import Panel
from grafana_foundation_sdk.models import dashboard as d
from grafana_foundation_sdk.models.common import BigValueTextMode

from deploy.grafana import operation, replicas
from deploy.grafana.dashboard import Rows
from deploy.grafana.panel import (
    DASHED,
    GREEN,
    LOG,
    RED,
    STACKED,
    SYMLOG,
    YELLOW,
    ZERO_EXPECTED,
    bad_below,
    bad_from,
    bars,
    fixed,
    heatmap,
    limits,
    query,
    stat,
    timeseries,
)
from deploy.grafana.promql import (
    ANSWERED,
    PREDICTION,
    accepted,
    events,
    increase,
    largest,
    metric,
    or_zero,
    quantile,
    rate,
    total,
    unanswered,
)

_REQUESTS = total(increase("http_requests_total", PREDICTION))
_FAST = total(increase("http_request_duration_seconds_bucket", PREDICTION, ANSWERED, 'le="0.05"'))
_ALL = total(increase("http_request_duration_seconds_count", PREDICTION, ANSWERED))
_OPEN_FILES = f"{metric('process_open_fds')} / {metric('process_max_fds')}"
_PROVIDER = {"0": "as configured", "1": "fell back"}
_OBJECTIVE = limits(GREEN, (0.05, RED))  # seconds, for 99 % of the requests
_PROCESS = "{{instance}} {{worker}}"  # worker: only where there are several
_GPU = "{{instance}} GPU {{gpu}}"


def _failed(of: Callable[..., str]) -> str:
    """Share of the accepted prediction requests that were not answered."""
    return f"{unanswered(of)} / {accepted(of)}"


def _quantiles(histogram: str, *matchers: str) -> list[Dataquery]:
    parts = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    return [query(quantile(part, histogram, *matchers), name) for part, name in parts]


def _stage(title: str, description: str, histogram: str) -> Panel:
    panel = timeseries(title, description, *_quantiles(histogram), unit="s", width=8, lowest=None)
    return panel.scale_distribution(LOG)


def _by_gpu(name: str) -> str:
    """The largest value, because the workers of one instance report the same GPU."""
    return largest(metric(name), "instance", "gpu")


ROWS: Rows = {
    **operation.FIRING,
    "Now": (
        stat(
            "Instances down",
            "Instances that Prometheus cannot scrape. Bad: any.",
            query(or_zero(f"count({metric('up')} == 0)"), "down"),
            unit="none",
            width=4,
            thresholds=ZERO_EXPECTED,
        ),
        stat(
            "Prediction requests",
            "Requests per second to the prediction routes, including refused ones. Bad: none "
            "although clients should be sending, or more than half of the measured capacity.",
            query(total(rate("http_requests_total", PREDICTION)), "requests"),
            unit="reqps",
            width=3,
        ),
        stat(
            "Answered",
            "Share of the accepted prediction requests in the time range shown that were answered. "
            "Accepted: answered with neither 4xx nor 503, nor with 504 at a deadline that the "
            "client set. The objective is 99.9 % over 30 days. Bad: less.",
            query(f"1 - {_failed(increase)}", "answered"),
            unit="percentunit",
            width=3,
            thresholds=bad_below(0.999),
        ).decimals(3),
        stat(
            "Within 50 ms",
            "Share of the prediction requests answered by a model in the time range shown that "
            "finished within 50 ms. The objective is 99 % at up to half the capacity. Bad: less.",
            query(f"{_FAST} / {_ALL}", "within 50 ms"),
            unit="percentunit",
            width=3,
            thresholds=bad_below(0.99),
        ).decimals(2),
        stat(
            "Shed",
            "Requests refused or given up to stay responsive, as a share of the prediction "
            "requests in the time range shown. Bad: over a long time; shedding is meant for short "
            "bursts.",
            query(f"{total(increase('shed_total'))} / {_REQUESTS}", "shed"),
            unit="percentunit",
            width=3,
            thresholds=bad_from(0.01, 0.1),
        ).decimals(2),
        stat(
            "Queue full",
            "Fill level of the fullest instance's queue. Bad: above one half; images that find "
            "the queue full are refused with 503.",
            query(largest(f"{metric('queue_depth')} / {metric('queue_limit')}"), "full"),
            unit="percentunit",
            width=3,
            thresholds=bad_from(0.5, 0.8),
        ).decimals(1),
        stat(
            "Version",
            "The model version that serves. Bad: several versions for longer than a switch takes.",
            query(total(metric("model_info"), "version"), "{{version}}"),
            unit="none",
            width=2,
        ).text_mode(BigValueTextMode.NAME),
        stat(
            "Provider",
            "Whether each instance runs on the configured execution provider. Bad: an instance "
            "that should run on a GPU and serves from the CPU instead.",
            query(largest(metric("provider_fallback")), "fell back"),
            unit="none",
            width=3,
            thresholds=ZERO_EXPECTED,
        ).mappings(
            [
                d.ValueMap(
                    {value: d.ValueMappingResult(text=text) for value, text in _PROVIDER.items()}
                )
            ]
        ),
    ),
    "Traffic and errors": (
        timeseries(
            "Requests by route",
            "Requests answered per second. `other` stands for routes that do not exist. Bad: a "
            "sudden fall to zero; traffic on a route that no client should use.",
            query(total(rate("http_requests_total"), "route"), "{{route}}"),
            unit="reqps",
        ),
        timeseries(
            "Responses by status",
            "All routes, stacked. 4xx is caused by the client, 503 means overload or a service "
            "that is stopping. Bad: any other 5xx; 504 is a deadline that passed.",
            query(total(rate("http_requests_total"), "code"), "{{code}}"),
            unit="reqps",
        )
        .stacking(STACKED)
        .override_by_regexp("^2", fixed(GREEN))
        .override_by_regexp("^4", fixed(YELLOW))
        .override_by_regexp("^5", fixed(RED)),
        timeseries(
            "Unavailability",
            "Share of the accepted prediction requests that were not answered: 5xx except 503 and "
            "deadlines that clients set. The line is what the objective allows over 30 days. Bad: "
            "above it; one hour at 14 times the line uses up 2 % of the month's budget. Without "
            "traffic there is no value.",
            query(_failed(rate), "not answered"),
            unit="percentunit",
            thresholds=limits(GREEN, (0.001, RED)),
        ).decimals(2),
        timeseries(
            "Requests in flight",
            "Requests that had begun and not ended when Prometheus scraped, by instance. Bad: "
            "growth without growing traffic.",
            query(metric("inflight_requests"), "{{instance}}"),
            unit="short",
        ),
    ),
    "Refused and cancelled": (
        timeseries(
            "Shed by reason",
            "Requests refused or given up per second. queue_full and connections: more requests "
            "arrive than the service can take. deadline_unreachable: the queue is longer than the "
            "client waits. deadline_passed: the service's own deadline came first. Bad: any "
            "reason over a long time.",
            query(total(rate("shed_total"), "reason"), "{{reason}}"),
            unit="reqps",
        ),
        timeseries(
            "Clients' own deadlines",
            "Requests per second answered 504 because a deadline passed that the client set, "
            "shorter than the service's, by route. They use up no budget. Bad: an increase at "
            "unchanged latency (a client allows too little time), or together with latency (the "
            "service is too slow for its clients).",
            query(total(rate("client_deadline_total"), "route"), "{{route}}"),
            unit="reqps",
        ),
        timeseries(
            "Clients that hung up",
            "Requests per second whose client disconnected before the response, by the stage they "
            "had reached. Bad: many in queue or model, which means that clients wait less long "
            "than the service takes.",
            query(total(rate("cancelled_total"), "stage"), "{{stage}}"),
            unit="reqps",
        ),
        timeseries(
            "Access refused by reason",
            "Requests per second without the required key or token. Bad: a burst (someone tries "
            "keys), or a steady part of the traffic (a client uses an old key).",
            query(total(rate("access_refused_total"), "reason"), "{{reason}}"),
            unit="reqps",
        ),
    ),
    "Latency": (
        heatmap(
            "Duration of prediction requests",
            "From a request's first byte to the end of its response: requests answered by a model "
            "per second, by duration. Refused requests are not included: they are fast, and would "
            "make an overloaded service look fast. Bad: a second band that rises away from the "
            "first.",
            total(rate("http_request_duration_seconds_bucket", PREDICTION, ANSWERED), "le"),
            unit="s",
        ),
        timeseries(
            "Duration of prediction requests, quantiles",
            "Quantiles of the same durations. The line is the objective for p99 at up to half the "
            "capacity. Bad: p99 above it. Quantiles are interpolated inside a bucket: bucket "
            "bounds such as 0.05 s are exact, values between them are estimates.",
            *_quantiles("http_request_duration_seconds", PREDICTION, ANSWERED),
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
    "Batches and queue": (
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
    **operation.ROWS,
    **replicas.ROWS,
    "Processes": (
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
            "any; the disk or file server of the store does not respond, versions cannot be "
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
    "GPU (empty where there is none)": (
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
}
