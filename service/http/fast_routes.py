"""The table of the fast path: for each path, what all its requests share, made once."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

from service.http.auth import OPEN, Access
from service.http.exchange import Endpoint
from service.telemetry.metrics.registry import Metrics
from service.telemetry.metrics.version_series import RouteSeries
from service.telemetry.request_record import GONE, Labels

CODES = (*(str(status.value) for status in HTTPStatus), GONE)

Admit = Callable[[Mapping[bytes, bytes]], None]  # looks at the headers, or raises


class FastRoute(NamedTuple):
    endpoint: Endpoint
    method: bytes
    admit: Admit  # checks access and headers
    seconds: RouteSeries  # of http_request_duration_seconds, by version
    labels: Mapping[str, Labels]  # by code


def fast_routes_of(
    endpoints: Sequence[Endpoint], access: Access, metrics: Metrics
) -> dict[bytes, FastRoute]:
    """By path."""
    return {
        endpoint.route.encode(): FastRoute(
            endpoint,
            endpoint.method.encode(),
            endpoint.admit if OPEN.fullmatch(endpoint.route) else _both(access, endpoint),
            metrics.seconds_of(endpoint.route, predicts=endpoint.method == "POST"),
            {code: (endpoint.route, endpoint.method, code) for code in CODES},
        )
        for endpoint in endpoints
    }


def _both(access: Access, endpoint: Endpoint) -> Admit:
    if not access.requires_keys:
        return endpoint.admit

    def admit(headers: Mapping[bytes, bytes]) -> None:
        access.check(headers)
        endpoint.admit(headers)

    return admit
