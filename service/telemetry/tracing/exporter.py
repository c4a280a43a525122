"""The way to an OpenTelemetry collector: a thread that makes spans of what waits and sends them.

    waiting --each second--> spans --32 at once--> OTLP over HTTP, protobuf --> counted

The SDK's own BatchSpanProcessor has a thread too, but does not say what it dropped, and waits 30 s
at the end for a collector that hangs. A thread that works holds the interpreter, and the event loop
waits for it: hence few spans at once, and a pause after each request.

Imported only where traces are asked for; OTEL_EXPORTER_OTLP_HEADERS, _CERTIFICATE, _CLIENT_KEY and
_COMPRESSION mean what the specification says, for the exporter reads them.
"""

import logging
import threading
import time
from collections import deque
from typing import Any

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from service.telemetry.metrics.registry import Metrics
from service.telemetry.tracing.records import TracedBatch, TracedRequest
from service.telemetry.tracing.spans import Spans

EVERY = 1.0  # seconds between rounds; a model call is sent one after the first of its requests
AT_ONCE = 32  # spans in one message: 1 ms of the interpreter
PAUSE = 0.0005  # seconds in which the event loop gets its turn
TIMEOUT = 5.0  # seconds for a message, with what is tried again
LAST_WORDS = 1.0  # seconds at the end

log = logging.getLogger("service")


class Collector:
    def __init__(self, endpoint: str, metrics: Metrics, worker: int) -> None:
        # Its warnings come with each message, and one of them shows headers that it cannot read.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
        self.waiting: deque[TracedRequest] = deque()
        self._url = endpoint.rstrip("/") + "/v1/traces"
        self._metrics = metrics
        self._spans = Spans(worker)
        self._session = _Session()
        self._exporter = OTLPSpanExporter(self._url, timeout=TIMEOUT, session=self._session)
        self._calls: dict[int, TracedBatch] = {}  # told of in this round, by the id of their span
        self._stopping = threading.Event()
        # A daemon: if it hangs, the process ends nevertheless.
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._lost = 0  # spans, since the collector last took some

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Send what waits, if that takes no longer than LAST_WORDS."""
        self._stopping.set()
        self._thread.join(LAST_WORDS)
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # it tries nothing again

    def _run(self) -> None:
        last = False
        while not last:
            last = self._stopping.wait(EVERY)
            try:
                self._round(last)
            except Exception:  # a mistake of ours costs a second of traces
                log.exception("traces could not be made")

    def _round(self, last: bool) -> None:
        self._spans.set_clock()
        complete, self._calls = self._calls, {}
        for call in complete.values():
            call.is_told = True
        spans: list[ReadableSpan] = []
        while self.waiting:
            story = self.waiting.popleft()
            if story.inside is not None and not story.inside.call.is_told:
                self._calls[story.inside.call.span_id] = story.inside.call
            spans += self._spans.of(story)
            spans = self._send_full(spans)
            time.sleep(PAUSE)
        if last:
            complete |= self._calls
        for call in complete.values():
            spans = self._send_full(spans + self._spans.of_call(call))
        if spans:
            self._send(spans)

    def _send_full(self, spans: list[ReadableSpan]) -> list[ReadableSpan]:
        """Send them if they are many; those that are left."""
        if len(spans) < AT_ONCE:
            return spans
        self._send(spans)
        return []

    def _send(self, spans: list[ReadableSpan]) -> None:
        number = len(spans)
        if self._exporter.export(spans) is SpanExportResult.SUCCESS:
            self._metrics.spans_exported.inc(number)
            if self._lost:
                log.info(
                    "the collector at %s takes traces again; %d spans were lost",
                    self._url,
                    self._lost,
                )
            self._lost = 0
        else:
            self._metrics.spans_dropped.labels("not_sent").inc(number)
            if not self._lost:
                log.warning(
                    "the collector at %s does not take traces (%s): they are lost, requests go on",
                    self._url,
                    self._session.outcome,
                )
            self._lost += number


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
