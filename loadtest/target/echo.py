"""The least a Python server can do for a request: python -m loadtest.target.echo PORT

An ASGI app under uvicorn, with its fastest loop and parser, that reads the body and answers
everybody the same. What a service costs above this, its own code costs.
"""

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

REPLY = b'{"predictions":[]}'
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(REPLY))],
}
BODY = {"type": "http.response.body", "body": REPLY}


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    while (await receive()).get("more_body"):
        pass
    await send(START)
    await send(BODY)


if __name__ == "__main__":
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
    )
