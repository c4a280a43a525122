"""The first row: is anything wrong? Every number is about all selected instances together."""

from deploy.grafana.dashboard import Row
from deploy.grafana.panel import Panel, Target, bad_above_none, bad_below, bad_from
from deploy.grafana.promql import (
    PREDICTION,
    accepted,
    increase,
    largest,
    metric,
    or_zero,
    rate,
    total,
    unanswered,
)

_ACCEPTED, _UNANSWERED = accepted(increase), unanswered(increase)
_ASKED = total(increase("http_requests_total", PREDICTION))
_FAST = total(increase("http_request_duration_seconds_bucket", PREDICTION, 'le="0.05"'))
_ALL = total(increase("http_request_duration_seconds_count", PREDICTION))

OVERVIEW = Row(
    "Now",
    (
        Panel(
            title="Alerts",
            description="Alerts of deploy/prometheus/alerts.yml that are firing. Bad: any; the "
            "runbook has a section for each.",
            kind="stat",
            unit="none",
            targets=(Target(or_zero('count(ALERTS{alertstate="firing", job=~"$job"})'), "firing"),),
            limits=bad_above_none(),
            width=2,
        ),
        Panel(
            title="Instances down",
            description="Instances that Prometheus cannot scrape. Bad: any.",
            kind="stat",
            unit="none",
            targets=(Target(or_zero(f"count({metric('up')} == 0)"), "down"),),
            limits=bad_above_none(),
            width=2,
        ),
        Panel(
            title="Asked for predictions",
            description="Requests to the prediction routes a second, with those that are refused. "
            "Bad: none where clients should be asking, or more than half of what was measured "
            "as capacity.",
            kind="stat",
            unit="reqps",
            targets=(Target(total(rate("http_requests_total", PREDICTION)), "asked"),),
            width=3,
        ),
        Panel(
            title="Answered",
            description="Of the prediction requests in the time shown that were accepted (answered "
            "with neither 4xx nor 503, nor 504 at a deadline of their client's own), the share "
            "that got its answer. The objective is 99.9 % over 30 days. Bad: less.",
            kind="stat",
            unit="percentunit",
            decimals=3,
            targets=(Target(f"1 - {_UNANSWERED} / {_ACCEPTED}", "answered"),),
            limits=bad_below(0.999),
            width=3,
        ),
        Panel(
            title="Within 50 ms",
            description="Share of the prediction requests in the time shown that were over within "
            "50 ms. The objective is 99 %, at up to half the capacity. Bad: less.",
            kind="stat",
            unit="percentunit",
            decimals=2,
            targets=(Target(f"{_FAST} / {_ALL}", "within 50 ms"),),
            limits=bad_below(0.99),
            width=3,
        ),
        Panel(
            title="Shed",
            description="Requests refused or given up on to stay responsive, as a share of the "
            "prediction requests in the time shown. Bad: lasting; a short burst is what "
            "shedding is for.",
            kind="stat",
            unit="percentunit",
            decimals=2,
            targets=(Target(f"{total(increase('shed_total'))} / {_ASKED}", "shed"),),
            limits=bad_from(0.01, 0.1),
            width=3,
        ),
        Panel(
            title="Queue full",
            description="How full the fullest instance's queue is. Bad: above one half, for at the "
            "end of the queue pictures are refused with 503.",
            kind="stat",
            unit="percentunit",
            decimals=1,
            targets=(
                Target(largest(f"{metric('queue_depth')} / {metric('queue_limit')}"), "full"),
            ),
            limits=bad_from(0.5, 0.8),
            width=3,
        ),
        Panel(
            title="Version",
            description="The model version that serves. Bad: several of them for longer than a "
            "switch takes.",
            kind="stat",
            unit="none",
            targets=(Target(total(metric("model_info"), "version"), "{{version}}"),),
            by_name=True,
            width=2,
        ),
        Panel(
            title="Provider",
            description="Whether each instance runs on the provider that was asked for. Bad: an "
            "instance that was to run on a GPU and serves from the CPU instead.",
            kind="stat",
            unit="none",
            targets=(Target(largest(metric("provider_fallback")), "fell back"),),
            limits=bad_above_none(),
            words={0: "as asked", 1: "fell back"},
            width=3,
        ),
    ),
)
