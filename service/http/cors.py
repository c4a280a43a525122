"""Which pages of other origins may ask, and what their scripts may send and see."""

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

METHODS = ["GET", "POST"]
SENT = [
    "Authorization", "Content-Encoding", "Content-Type", "Inference-Header-Content-Length",
    "Traceparent", "Tracestate", "X-API-Key", "X-Request-ID", "X-Request-Timeout",
]  # fmt: skip
SEEN = [
    "Inference-Header-Content-Length", "Retry-After", "Server-Timing", "Traceresponse",
    "X-Batch-Size", "X-Label", "X-Request-ID",
]  # fmt: skip


def open_to(origins: Sequence[str], application: ASGIApp) -> ASGIApp:
    """The application, for pages of these origins too; itself where there are none."""
    if not origins:
        return application
    return CORSMiddleware(
        application, origins, allow_methods=METHODS, allow_headers=SENT, expose_headers=SEEN
    )
