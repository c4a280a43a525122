"""BentoML: python -m loadtest.bench.peers.with_bentoml PORT many|one; needs VERSION_FOLDER set.

Under its supervisor one process answers HTTP with Starlette, makes batches, decodes and infers. The
body reaches it unparsed, through a descriptor.

    many   64 images a batch, in the service's thread: 350 us of CPU a request, one core, 64
           connections. An async method, or 32 a batch, takes as much; 16 a batch, or none, 370 and
           answers fewer. An image as a Path, which BentoML writes to a file, takes 1600; the
           batches in a service of their own (bentoml.depends) 1800, and some are refused. An ASGI
           app beside the API takes 300, but gets no batches.
    one    no batches, an async method: 390 us where batches take 600. And after a load the
           dispatcher still waits for a fuller batch, 14 ms for a single image.

max_latency_ms delays no image: above it requests are refused, which happened at 100 ms and below;
from 200 to its default of 60000 it changed nothing. OpenTelemetry's spans, which are not exported,
would take 300 us more: the route is excluded from them. Metrics and the access log are off, and a
timer that each request leaves behind until its timeout ends after 5 s rather than 60.
"""

import os
import sys
from pathlib import Path
from typing import Any, Self

import bentoml  # type: ignore[import-not-found]
from starlette.requests import Request
from starlette.responses import Response

from loadtest.bench.peers.answers import Answers

PREDICT = "/v1/predict"
SERVICE: dict[str, Any] = {
    "workers": 1,
    "threads": 1,
    "traffic": {"timeout": 5},
    "logging": {"access": {"enabled": False}},
    "metrics": {"enabled": False},
    "tracing": {"excluded_urls": PREDICT},
}


class Pngs(bentoml.IODescriptor):  # type: ignore[misc]
    """A batch of one, as the dispatcher wants it."""

    pngs: list[bytes]

    @classmethod
    async def from_http_request(cls, request: Request, serde: object) -> Self:
        batch: Self = cls.model_construct(pngs=[await request.body()])
        return batch


class Json(bentoml.IODescriptor):  # type: ignore[misc]
    @classmethod
    async def to_http_response(cls, answers: list[bytes], serde: object) -> Response:
        return Response(answers[0], media_type="application/json")


class Digits:
    def __init__(self) -> None:
        self._answers = Answers()

    def _read(self, pngs: list[bytes]) -> list[bytes]:
        return [self._answers.json(row) for row in self._answers.rows(pngs)]


@bentoml.service(**SERVICE)
class Many(Digits):
    @bentoml.api(  # type: ignore[untyped-decorator]
        route=PREDICT,
        input_spec=Pngs,
        output_spec=Json,
        batchable=True,
        max_batch_size=64,
        max_latency_ms=1000,
    )
    def predict(self, pngs: list[bytes]) -> list[bytes]:
        return self._read(pngs)


@bentoml.service(**SERVICE)
class One(Digits):
    @bentoml.api(route=PREDICT, input_spec=Pngs, output_spec=Json)  # type: ignore[untyped-decorator]
    async def predict(self, pngs: list[bytes]) -> list[bytes]:
        return self._read(pngs)


if __name__ == "__main__":
    port, how = sys.argv[1:]
    home = Path(sys.prefix, "home")  # instead of the user's
    home.mkdir(exist_ok=True)
    os.environ |= {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(home)}
    words = ["serve", f"{__spec__.name}:{how.title()}", "--host", "127.0.0.1", "--port", port]
    os.execv(sys.executable, [sys.executable, "-m", "bentoml", *words])  # noqa: S606
