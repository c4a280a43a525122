"""The export of ended spans to an OpenTelemetry collector, on a thread of its own.

    spans --on_end--> bounded queue --each second, 32 at once--> OTLP over HTTP --> counted

Nothing waits for the collector: a span that finds the queue full, or that the collector does not
accept, is dropped and counted. The SDK's own BatchSpanProcessor does not count what it drops, and
waits 30 s at the end for a collector that hangs. A thread that works holds the interpreter, and the
event loop waits for it: hence few spans at once, and a pause after each message.

The exporter reads OTEL_EXPORTER_OTLP_HEADERS, _CERTIFICATE, _CLIENT_KEY and _COMPRESSION.
"""

import logging
import threading
import time
from collections import deque
from typing import Any

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExportResult

from service.telemetry.metrics.registry import Metrics

WAITING = 2048  # spans that may wait, of some 2 kB each
EVERY = 1.0  # seconds between rounds
AT_ONCE = 32  # spans in one message: 1 ms of the interpreter
PAUSE = 0.0005  # seconds in which the event loop gets its turn
TIMEOUT = 5.0  # seconds for a message, its retries included
LAST_ROUND = 1.0  # seconds at the end

log = logging.getLogger("service")


class Exporter(SpanProcessor):
    def __init__(self, endpoint: str, metrics: Metrics) -> None:
        # Its warnings come with each message, and one of them shows headers that it cannot read.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
        self._waiting: deque[ReadableSpan] = deque()
        self._url = endpoint.rstrip("/") + "/v1/traces"
        self._metrics = metrics
        self._session = _Session()
        self._exporter = OTLPSpanExporter(self._url, timeout=TIMEOUT, session=self._session)
        self._stopping = threading.Event()
        # A daemon: if it hangs, the process ends nevertheless.
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._lost = 0  # spans, since the collector last accepted some

    def on_end(self, span: ReadableSpan) -> None:
        if len(self._waiting) < WAITING:
            self._waiting.append(span)
        else:
            self._metrics.spans_dropped.record(("queue_full",))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Send what waits, if that takes no longer than LAST_ROUND."""
        self._stopping.set()
        self._thread.join(LAST_ROUND)
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # it retries nothing any more

    def _run(self) -> None:
        last = False
        while not last:
            last = self._stopping.wait(EVERY)
            while self._waiting:
                count = min(AT_ONCE, len(self._waiting))
                try:
                    self._send([self._waiting.popleft() for _ in range(count)])
                except Exception:  # a defect costs one message
                    log.exception("spans could not be exported")
                time.sleep(PAUSE)

    def _send(self, spans: list[ReadableSpan]) -> None:
        if self._exporter.export(spans) is SpanExportResult.SUCCESS:
            self._metrics.spans_exported.inc(len(spans))
            if self._lost:
                log.info(
                    "the collector at %s takes traces again; %d spans were lost",
                    self._url,
                    self._lost,
                )
            self._lost = 0
        else:
            self._metrics.spans_dropped.labels("not_sent").inc(len(spans))
            if not self._lost:
                log.warning(
                    "the collector at %s does not take traces (%s): they are lost, requests go on",
                    self._url,
                    self._session.outcome,
                )
            self._lost += len(spans)


class _Session(requests.Session):
    """Remembers how the last message ended, in words that hold no header."""

    outcome = ""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        try:
            response: requests.Response = super().send(request, **options)
        except requests.RequestException as error:
            is_late = isinstance(error, requests.Timeout)
            self.outcome = f"no answer within {TIMEOUT:g} s" if is_late else "no connection"
            raise
        self.outcome = f"it answers {response.status_code}"
        return response
