"""OpenTelemetry traces: `tracer` makes the spans of sampled requests, `exporter` sends them.

OpenTelemetry's packages are an optional group. They are imported only if DIGITSERVE_OTLP_ENDPOINT
is set.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from service.errors import CannotStart
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics
from service.telemetry.request_record import Labels, RequestEvent
from service.telemetry.trace_context import Trace


class RequestTracing(Protocol):
    """What the service needs of `tracer.Tracing`, which may not be importable."""

    def begin(self, headers: Mapping[bytes, bytes], version: str = "1.1") -> Trace | None: ...

    def ended(self, event: RequestEvent, labels: Labels, seconds: float) -> None: ...

    def running(self) -> AbstractAsyncContextManager[None]: ...


def tracing_of(settings: Settings, metrics: Metrics, worker: int = 0) -> RequestTracing | None:
    """None unless an endpoint is configured; CannotStart if the packages are missing."""
    if settings.otlp_endpoint is None:
        return None
    try:
        from service.telemetry.tracing.exporter import Exporter
        from service.telemetry.tracing.tracer import Tracing
    except ImportError as error:
        raise CannotStart(
            f"DIGITSERVE_OTLP_ENDPOINT asks for traces, and their packages are missing ({error}): "
            "pip install --constraint constraints.txt --group tracing, or unset it"
        ) from error
    return Tracing(settings, metrics, Exporter(settings.otlp_endpoint, metrics), worker)
