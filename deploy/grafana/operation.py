"""Rows of the service dashboard about alerts, objectives, limits and the model store in a bucket.

They show what deploy/prometheus/alerts.yml judges, over all instances, with the numbers of the
deployment in recording.yml as lines.
"""

from deploy.grafana.dashboard import Rows
from deploy.grafana.panel import (
    DASHED,
    RED,
    alert_table,
    bad_below,
    bad_from,
    fixed,
    query,
    timeseries,
)
from deploy.grafana.promql import metric, rate, recorded, total

# Alerts of the balancer have its job.
_ALERTS = 'job=~"$job|balancer"'
# The value of ALERTS_FOR_STATE is when the alert's condition began to hold, in seconds since 1970.
_FIRING = (
    f"1000 * ALERTS_FOR_STATE{{{_ALERTS}}} "
    f'and ignoring (alertstate) ALERTS{{alertstate="firing", {_ALERTS}}}'
)
# Numbers of the deployment, which have no labels.
_CAPACITY, _MEMORY_LIMIT = (
    "digitserve:capacity:requests_per_second",
    "digitserve:memory_limit:bytes",
)

FIRING: Rows = {
    "Alerts": (
        alert_table(
            "Alerts that fire",
            "Every alert of deploy/prometheus/alerts.yml that fires now, with its severity, the "
            "instance, and since when its condition has held. page: act now; ticket: within a "
            "working day. Bad: any; the runbook has a section for each.",
            query(_FIRING, "{{alertname}}"),
        ),
    ),
}

ROWS: Rows = {
    "Objectives and limits": (
        timeseries(
            "Error budget left",
            "What remains of the failures that the objectives allow in 30 days: 1 is all of it. "
            "Bad: below 0, where an objective is missed.",
            query(recorded("availability_budget:ratio_30d"), "availability"),
            query(recorded("latency_budget:ratio_30d"), "latency"),
            unit="percentunit",
            width=6,
            thresholds=bad_below(0),
            lowest=None,
        ),
        timeseries(
            "Burn rate of the last hour",
            "How many times faster than allowed the error budgets are used up: at 1 the budget "
            "lasts exactly 30 days. Bad: above 14.4, where it lasts 2 days and the alerts of "
            "severity page fire.",
            query(f"{recorded('requests_failed:ratio_1h')} / 0.001", "availability"),
            query(f"{recorded('requests_slow:ratio_1h')} / 0.01", "latency"),
            unit="none",
            width=6,
            thresholds=bad_from(1, 14.4),
        ),
        timeseries(
            "Load and capacity",
            "Prediction requests per second, and the capacity in recording.yml, which `make "
            "capacity` measures. Bad: above half of it for long; latency is not judged there.",
            query(recorded("requests:rate2m"), "requests"),
            query(_CAPACITY, "capacity"),
            query(f"{_CAPACITY} / 2", "half of it"),
            unit="reqps",
            width=6,
        )
        .override_by_name("half of it", DASHED)
        .override_by_regexp("^capacity$", fixed(RED)),
        timeseries(
            "Memory and its limit",
            "Resident memory of all processes of each instance, and the limit in recording.yml. "
            "Bad: above 80 % of it; a process that exceeds it is killed.",
            query(total(metric("process_resident_memory_bytes"), "instance"), "{{instance}}"),
            query(_MEMORY_LIMIT, "limit"),
            unit="bytes",
            width=6,
        )
        .override_by_name("limit", DASHED)
        .override_by_regexp("^limit$", fixed(RED)),
    ),
    "Model store in a bucket (empty where it is a folder)": (
        timeseries(
            "Reads of the bucket",
            "Reads per second of what is current, by result, over all instances. Bad: unreachable "
            "or denied; versions that are published or activated meanwhile are not served.",
            query(total(rate("store_sync_total"), "result"), "{{result}}"),
            unit="cps",
        ),
        timeseries(
            "Time since the last read that succeeded",
            "By instance. Bad: minutes; DIGITSERVE_WATCH_SECONDS is the usual value.",
            query(f"time() - {metric('store_last_sync_timestamp_seconds')}", "{{instance}}"),
            unit="s",
            thresholds=bad_from(60, 600),
        ),
    ),
}
