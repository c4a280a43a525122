"""OpenTelemetry traces: `tracer` makes the spans of sampled requests, `exporter` sends them.

OpenTelemetry's packages are an optional group. They are imported only if DIGITSERVE_OTLP_ENDPOINT
is set.
"""

from typing import TYPE_CHECKING

from service.errors import CannotStart
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics

if TYPE_CHECKING:
    from service.telemetry.tracing.tracer import Tracing


def tracing_of(settings: Settings, metrics: Metrics, worker: int = 0) -> "Tracing | None":
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
