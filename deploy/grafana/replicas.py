"""Rows of the service dashboard for several replicas: each one, and the balancer in front."""

from deploy.grafana.dashboard import Rows
from deploy.grafana.panel import GREEN, LOG, RED, bad_from, limits, query, timeseries
from deploy.grafana.promql import ANSWERED, PREDICTION, RATE, balancer, quantile, rate, total

_REPEATED = balancer("server_retry_warnings_total")
_ERRORS = balancer("frontend_http_responses_total", "public", 'code="5xx"')
_CONNECTIONS = balancer("frontend_current_sessions", "public")
_LIMIT = balancer("frontend_limit_sessions", "public")

ROWS: Rows = {
    "By replica": (
        timeseries(
            "Requests by replica",
            "Prediction requests answered per second by each replica. Bad: one that gets far fewer "
            "than the others, or none.",
            query(total(rate("http_requests_total", PREDICTION), "instance"), "{{instance}}"),
            unit="reqps",
            width=8,
        ),
        timeseries(
            "p99 by replica",
            "99 % of the prediction requests answered by each replica's model took less, from a "
            "request's first byte to the end of its response. The line is the objective. Bad: one "
            "that is slower than the others.",
            query(
                quantile(
                    0.99, "http_request_duration_seconds", PREDICTION, ANSWERED, by=("instance",)
                ),
                "{{instance}}",
            ),
            unit="s",
            width=8,
            thresholds=limits(GREEN, (0.05, RED)),
            lowest=None,
        ).scale_distribution(LOG),
        timeseries(
            "Images waiting by replica",
            "Images that wait for the model, as the mean over time: the seconds that images waited "
            "in each second. Bad: many in one replica while others have none.",
            query(total(rate("queue_wait_seconds_sum"), "instance"), "{{instance}}"),
            unit="short",
            width=8,
        ),
    ),
    "Balancer (empty where there is none)": (
        timeseries(
            "Replicas in use",
            "Replicas that pass the check of /readyz, as each balancer sees them. Bad: fewer than "
            "run; a replica that stops leaves on purpose.",
            query(balancer("backend_active_servers"), "{{instance}}"),
            unit="short",
            width=6,
        ).decimals(0),
        timeseries(
            "Repeated requests",
            "Requests per second that were sent again because a replica failed, was silent or "
            "answered 503. Clients notice only the time. Bad: more than a few while no replica is "
            "replaced.",
            query(total(f"rate({_REPEATED}[{RATE}])", "server"), "{{server}}"),
            unit="reqps",
            width=6,
        ),
        timeseries(
            "Errors that clients got",
            "Responses per second with 5xx that left the balancer, its own among them: 503 without "
            "a replica, 502 and 504 of requests that it may not repeat. Bad: any that the replicas "
            "do not report as well.",
            query(total(f"rate({_ERRORS}[{RATE}])"), "5xx"),
            unit="reqps",
            width=6,
        ),
        timeseries(
            "Connections of the balancer",
            "Connections of clients as a share of the limit; from 90 % on it answers 503. "
            "Bad: above 70 %.",
            query(f"{_CONNECTIONS} / {_LIMIT}", "{{instance}}"),
            unit="percentunit",
            width=6,
            thresholds=bad_from(0.7, 0.9),
        ),
    ),
}
