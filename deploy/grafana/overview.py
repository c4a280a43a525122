"""The first row: is anything wrong? Every number covers all selected instances together."""

from grafana_foundation_sdk.models import dashboard as d
from grafana_foundation_sdk.models.common import BigValueTextMode

from deploy.grafana.dashboard import Row
from deploy.grafana.panel import ZERO_EXPECTED, bad_below, bad_from, query, stat
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
_REQUESTS = total(increase("http_requests_total", PREDICTION))
_FAST = total(increase("http_request_duration_seconds_bucket", PREDICTION, 'le="0.05"'))
_ALL = total(increase("http_request_duration_seconds_count", PREDICTION))
_PROVIDER = {"0": "as configured", "1": "fell back"}

OVERVIEW = Row(
    "Now",
    (
        stat(
            "Alerts",
            "Alerts of deploy/prometheus/alerts.yml that are firing. Bad: any; the runbook has a "
            "section for each.",
            query(or_zero('count(ALERTS{alertstate="firing", job=~"$job"})'), "firing"),
            unit="none",
            width=2,
            thresholds=ZERO_EXPECTED,
        ),
        stat(
            "Instances down",
            "Instances that Prometheus cannot scrape. Bad: any.",
            query(or_zero(f"count({metric('up')} == 0)"), "down"),
            unit="none",
            width=2,
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
            query(f"1 - {_UNANSWERED} / {_ACCEPTED}", "answered"),
            unit="percentunit",
            width=3,
            thresholds=bad_below(0.999),
        ).decimals(3),
        stat(
            "Within 50 ms",
            "Share of the prediction requests in the time range shown that finished within 50 ms. "
            "The objective is 99 % at up to half the capacity. Bad: less.",
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
)
