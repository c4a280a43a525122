"""BentoML: python -m loadtest.peers.with_bentoml PORT many|one; needs VERSION_FOLDER set.

Under its supervisor one process answers HTTP with Starlette, makes batches, decodes and infers. The
body reaches it through a descriptor as it comes.

    many   64 pictures a batch, a worker thread for them. In CPU time a request, one core, 64
           connections: this 340 us; an async method 360; 16 or 32 a batch 370, 350; no batches 380;
           a picture as a Path, which BentoML writes to a file, 2000; the batches in a service of
           their own (bentoml.depends) 2600. max_latency_ms does not hold pictures back but refuses
           them: none from 200 to the default's 60000, some at 100 and below.
    one    no batches, an async method

Tracing and metrics, which cost as much again, are off, and so is the access log. BentoML leaves a
timer behind for each request until its timeout: 5 s of that hold up fewer than its 60.
"""

import os
import sys
from pathlib import Path
from typing import Any, Self

import bentoml  # type: ignore[import-not-found]
from starlette.requests import Request
from starlette.responses import Response

from loadtest.peers.answers import Answers

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
    async def to_http_response(cls, said: list[bytes], serde: object) -> Response:
        return Response(said[0], media_type="application/json")


class Digits:
    def __init__(self) -> None:
        self._answers = Answers(Path(os.environ["VERSION_FOLDER"]))

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
    home = Path(sys.prefix, "home")  # else it keeps things in the user's
    home.mkdir(exist_ok=True)
    os.environ |= {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(home)}
    words = ["serve", f"{__spec__.name}:{how.title()}", "--host", "127.0.0.1", "--port", port]
    os.execv(sys.executable, [sys.executable, "-m", "bentoml", *words])  # noqa: S606
