"""Who asks, what they are told, and what is refused."""

from deploy.grafana.dashboard import Row
from deploy.grafana.panel import GREEN, RED, YELLOW, Limits, Panel, Target
from deploy.grafana.promql import accepted, metric, rate, total, unanswered

_ACCEPTED, _UNANSWERED = accepted(rate), unanswered(rate)

TRAFFIC = Row(
    "Traffic and errors",
    (
        Panel(
            title="Requests by route",
            description="Answered requests a second. `other` is whatever does not exist. Bad: a "
            "sudden fall to nothing; a route that nobody should ask.",
            unit="reqps",
            targets=(Target(total(rate("http_requests_total"), "route"), "{{route}}"),),
            width=12,
        ),
        Panel(
            title="Answers by status",
            description="All routes, one upon the other. 4xx is the client's doing, 503 is "
            "overload or a service that stops. Bad: any other 5xx; 504 is a deadline that passed.",
            unit="reqps",
            targets=(Target(total(rate("http_requests_total"), "code"), "{{code}}"),),
            stacked="normal",
            colours={"^2": GREEN, "^4": YELLOW, "^5": RED},
            width=12,
        ),
        Panel(
            title="Unavailability",
            description="Share of the accepted prediction requests that did not get their answer "
            "(5xx but 503 and deadlines of their clients' own); the line is what the objective "
            "allows over 30 days. Bad: above it; 14 times as much for an hour uses up 2 % of the "
            "month's. Without traffic there is no value.",
            unit="percentunit",
            decimals=2,
            targets=(Target(f"{_UNANSWERED} / {_ACCEPTED}", "not answered"),),
            limits=Limits(GREEN, ((0.001, RED),)),
            width=12,
        ),
        Panel(
            title="Requests in flight",
            description="Begun and not yet over when Prometheus looked, by instance. Bad: growing "
            "while the traffic does not.",
            unit="short",
            targets=(Target(metric("inflight_requests"), "{{instance}}"),),
            width=12,
        ),
    ),
)

REFUSED = Row(
    "Refused and gone",
    (
        Panel(
            title="Shed by reason",
            description="Requests refused or given up on a second. queue_full and connections: "
            "more comes than the service can take. deadline_unreachable: the queue is longer than "
            "the client waits. deadline_passed: the service's own deadline came first. Bad: any "
            "that lasts.",
            unit="reqps",
            targets=(Target(total(rate("shed_total"), "reason"), "{{reason}}"),),
            width=12,
        ),
        Panel(
            title="Clients' own deadlines",
            description="Requests a second that were answered 504 because a deadline passed that "
            "their client set itself, shorter than the service's, by route. They use up no budget. "
            "Bad: more than there were with latency as ever (a client allows too little), or with "
            "latency that rises (the service is too slow for its clients).",
            unit="reqps",
            targets=(Target(total(rate("client_deadline_total"), "route"), "{{route}}"),),
            width=12,
        ),
        Panel(
            title="Clients that hung up",
            description="Requests a second whose client left before the answer, by where they "
            "were. Bad: many in queue or model, for then clients wait less than the service "
            "takes.",
            unit="reqps",
            targets=(Target(total(rate("cancelled_total"), "stage"), "{{stage}}"),),
            width=12,
        ),
        Panel(
            title="Access refused by reason",
            description="Requests a second without the key or token that they need. Bad: a burst "
            "(somebody tries keys), or a steady part of the traffic (a client has an old key).",
            unit="reqps",
            targets=(Target(total(rate("access_refused_total"), "reason"), "{{reason}}"),),
            width=12,
        ),
    ),
)
