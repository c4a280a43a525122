"""LitServe: python -m loadtest.bench.peers.with_litserve PORT many|one; needs VERSION_FOLDER set.

One process answers HTTP with FastAPI, another decodes and infers, whole batches at a time.

    many   64 images a batch, a batch timeout of 10 ms. A shorter one, and the faster queue,
           answered fewer at 64 connections.
    one    no batches and the faster queue
"""

import sys
from typing import Annotated

from fastapi import Body
from litserve import LitAPI, LitServer
from starlette.responses import Response

from loadtest.bench.peers.answers import Answers, Row


class Digits(LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:
        self._answers = Answers()

    # Without this type LitServe would parse the body as JSON.
    def decode_request(self, request: Annotated[bytes, Body()]) -> bytes:
        return request

    def batch(self, inputs: list[bytes]) -> list[bytes]:
        return inputs

    def predict(self, inputs: list[bytes] | bytes) -> list[Row] | Row:
        if isinstance(inputs, bytes):  # without batches it is given one
            return self._answers.rows([inputs])[0]
        return self._answers.rows(inputs)

    def unbatch(self, output: list[Row]) -> list[Row]:
        return output

    def encode_response(self, output: Row) -> Response:
        return Response(self._answers.json(output), media_type="application/json")


if __name__ == "__main__":
    port, how = sys.argv[1:]
    many = how == "many"
    batching = {"max_batch_size": 64, "batch_timeout": 0.01} if many else {}
    api = Digits(api_path="/v1/predict", **batching)
    LitServer(api, accelerator="cpu", workers_per_device=1, fast_queue=not many).run(
        host="127.0.0.1",
        port=int(port),
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
        access_log=False,
    )
