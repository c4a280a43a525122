"""How questions to Prometheus are spelled: metrics of the selected instances, their rates and sums.

`$job` and `$instance` are variables of the dashboards. `RATE` is the window that Grafana makes wide
enough to hold several scrapes however far one has zoomed; `SHOWN` is all the time that is shown,
`STEP` the time between two points of a line.
"""

from collections.abc import Callable

SELECTED = 'job=~"$job", instance=~"$instance"'
RATE = "$__rate_interval"
SHOWN = "$__range"
STEP = "$__interval"
# The routes that answer pictures; /metrics, /docs and the probes would flatter every share.
PREDICTION = 'route=~"/v1/predict|/v2/.*/infer"'
# What the service took on: 4xx is the client's, 503 refuses before any work is done.
# 504 is told apart from the rest: some are deadlines of their clients' own.
ACCEPTED = 'code!~"4..|503|504"'
FAILED = 'code=~"5..", code!~"503|504"'
# Seconds of what a model answered, by version: "none" is all else.
ANSWERED = 'version!="none"'


def metric(name: str, *matchers: str) -> str:
    """A metric of the selected instances: digitserve_<name>, or one that all processes have."""
    prefix = "" if name == "up" or name.startswith("process_") else "digitserve_"
    return f"{prefix}{name}{{{', '.join((SELECTED, *matchers))}}}"


def rate(name: str, *matchers: str) -> str:
    """A second."""
    return f"rate({metric(name, *matchers)}[{RATE}])"


def increase(name: str, *matchers: str) -> str:
    """In all the time that is shown."""
    return f"increase({metric(name, *matchers)}[{SHOWN}])"


def events(name: str, *matchers: str, by: str) -> str:
    """How many there were since the step before, exactly: rare ones would be smeared by a rate.

    Each series by itself, and not below 0: an instance that was not heard for a moment, or starts
    anew, would otherwise count all that it ever did, or take it away.
    """
    of = metric(name, *matchers)
    return total(f"clamp_min({of} - {of} offset {STEP}, 0)", by)


def total(question: str, *by: str) -> str:
    return f"{_over('sum', by)}({question})"


def largest(question: str, *by: str) -> str:
    return f"{_over('max', by)}({question})"


def or_zero(question: str) -> str:
    """Counters that have counted nothing may have no series; that is none, not unknown."""
    return f"({question} or vector(0))"


def accepted(of: Callable[..., str]) -> str:
    """Prediction requests that the service took on; `of` is `rate` or `increase`."""
    return f"({total(of('http_requests_total', PREDICTION, ACCEPTED))} + {_late(of)})"


def unanswered(of: Callable[..., str]) -> str:
    """Those of them that got no answer."""
    return f"({or_zero(total(of('http_requests_total', PREDICTION, FAILED)))} + {_late(of)})"


def _late(of: Callable[..., str]) -> str:
    """Those answered 504, but at a deadline of their client's own: as recording.yml has it."""
    late = or_zero(total(of("http_requests_total", PREDICTION, 'code="504"')))
    own = or_zero(total(of("client_deadline_total", PREDICTION)))
    return f"clamp_min({late} - {own}, 0)"


def quantile(part: float, histogram: str, *matchers: str, by: tuple[str, ...] = ()) -> str:
    """Over all instances: buckets may be added up, quantiles may not."""
    buckets = total(rate(f"{histogram}_bucket", *matchers), "le", *by)
    return f"histogram_quantile({part:g}, {buckets})"


def _over(what: str, by: tuple[str, ...]) -> str:
    return f"{what} by ({', '.join(by)}) " if by else what
