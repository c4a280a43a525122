"""Expressions for Prometheus: metrics of the selected instances, their rates and sums.

`$job` and `$instance` are variables of the dashboards. `RATE` is the window that Grafana chooses
wide enough for several scrapes at every zoom; `SHOWN` is the whole time range, `STEP` the time
between two points of a line.
"""

from collections.abc import Callable

SELECTED = 'job=~"$job", instance=~"$instance"'
RATE = "$__rate_interval"
SHOWN = "$__range"
STEP = "$__interval"
# The prediction routes. /metrics, /docs and the probes would improve every ratio.
PREDICTION = 'route=~"/v1/predict|/v2/.*/infer"'
# Accepted requests: 4xx is the client's fault, 503 refuses before any work is done.
# 504 is counted separately, because some deadlines are set by clients.
ACCEPTED = 'code!~"4..|503|504"'
FAILED = 'code=~"5..", code!~"503|504"'
# Requests that a model served carry its version; all others carry "none".
ANSWERED = 'version!="none"'


def metric(name: str, *matchers: str) -> str:
    """A metric of the selected instances: digitserve_<name>, or one that all processes have."""
    prefix = "" if name == "up" or name.startswith("process_") else "digitserve_"
    return f"{prefix}{name}{{{', '.join((SELECTED, *matchers))}}}"


def balancer(name: str, proxy: str = "replicas", *matchers: str) -> str:
    """haproxy_<name> of all balancers, whichever instances of the service are selected."""
    selected = ('job="balancer"', f'proxy="{proxy}"', *matchers)
    return f"haproxy_{name}{{{', '.join(selected)}}}"


def recorded(name: str) -> str:
    """A series of deploy/prometheus/recording.yml, which is the sum or ratio over all instances."""
    return f'digitserve:{name}{{job=~"$job"}}'


def rate(name: str, *matchers: str) -> str:
    """Per second."""
    return f"rate({metric(name, *matchers)}[{RATE}])"


def increase(name: str, *matchers: str) -> str:
    """Over the whole time range shown."""
    return f"increase({metric(name, *matchers)}[{SHOWN}])"


def events(name: str, *matchers: str, by: str) -> str:
    """The exact number of events since the previous step: a rate would smear rare events.

    Each series is clamped at 0 before they are summed. An instance that was not scraped for a
    moment or that restarted would otherwise add or subtract everything it has ever counted.
    """
    of = metric(name, *matchers)
    return total(f"clamp_min({of} - {of} offset {STEP}, 0)", by)


def total(expression: str, *by: str) -> str:
    return f"{_over('sum', by)}({expression})"


def largest(expression: str, *by: str) -> str:
    return f"{_over('max', by)}({expression})"


def or_zero(expression: str) -> str:
    """Zero where there is no series: a counter without events may have none."""
    return f"({expression} or vector(0))"


def accepted(of: Callable[..., str]) -> str:
    """Prediction requests that the service accepted; `of` is `rate` or `increase`."""
    return f"({total(of('http_requests_total', PREDICTION, ACCEPTED))} + {_late(of)})"


def unanswered(of: Callable[..., str]) -> str:
    """Accepted prediction requests that were not answered."""
    return f"({or_zero(total(of('http_requests_total', PREDICTION, FAILED)))} + {_late(of)})"


def _late(of: Callable[..., str]) -> str:
    """Requests answered with 504, except at a deadline set by the client; as in recording.yml."""
    late = or_zero(total(of("http_requests_total", PREDICTION, 'code="504"')))
    own = or_zero(total(of("client_deadline_total", PREDICTION)))
    return f"clamp_min({late} - {own}, 0)"


def quantile(part: float, histogram: str, *matchers: str, by: tuple[str, ...] = ()) -> str:
    """A quantile over all instances: buckets can be summed, quantiles cannot."""
    buckets = total(rate(f"{histogram}_bucket", *matchers), "le", *by)
    return f"histogram_quantile({part:g}, {buckets})"


def _over(what: str, by: tuple[str, ...]) -> str:
    return f"{what} by ({', '.join(by)}) " if by else what
