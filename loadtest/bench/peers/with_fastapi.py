"""Plain FastAPI: python -m loadtest.bench.peers.with_fastapi PORT many|one

Needs VERSION_FOLDER set. The obvious service: an endpoint that runs the network once a request,
under uvicorn with its fastest loop and parser. An async one, on the loop: 230 to 260 us of CPU a
request, one core, 64 connections; `def`, in the thread pool, 310 to 440. It has no settings for
many connections or for one, so both are the same.
"""

import sys

import uvicorn
from fastapi import FastAPI, Request, Response

from loadtest.bench.peers.answers import Answers

answers = Answers()
app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})


@app.post("/v1/predict")
async def predict(request: Request) -> Response:
    (row,) = answers.rows([await request.body()])
    return Response(answers.json(row), media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
    )
