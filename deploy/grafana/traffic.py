"""Requests by route and status, and what is refused."""

from deploy.grafana.dashboard import Row
from deploy.grafana.panel import GREEN, RED, STACKED, YELLOW, fixed, limits, query, timeseries
from deploy.grafana.promql import accepted, metric, rate, total, unanswered

_ACCEPTED, _UNANSWERED = accepted(rate), unanswered(rate)

TRAFFIC = Row(
    "Traffic and errors",
    (
        timeseries(
            "Requests by route",
            "Requests answered per second. `other` stands for routes that do not exist. Bad: a "
            "sudden fall to zero; traffic on a route that no client should use.",
            query(total(rate("http_requests_total"), "route"), "{{route}}"),
            unit="reqps",
        ),
        timeseries(
            "Answers by status",
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
            query(f"{_UNANSWERED} / {_ACCEPTED}", "not answered"),
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
)

REFUSED = Row(
    "Refused and cancelled",
    (
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
            "Requests per second whose client disconnected before the answer, by the stage they "
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
)
