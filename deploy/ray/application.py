"""The service as a deployment of Ray Serve: serve run --non-blocking deploy/ray/serve.yaml

    client ──► Ray's proxy on each node ──► replicas, each with a batcher and a model of its own

A replica is the same ASGI application that `python -m service` serves, with the settings of its
process's environment. DIGITSERVE_HOST, PORT, WORKERS and DRAIN_SECONDS have no effect: Ray opens
the port, starts the replicas and stops them.
"""

import os

from ray import serve
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = b"x-request-id"


def replica() -> ASGIApp:
    """Load the current model version in the process of a replica."""
    # Imported here: the process that deploys needs neither settings nor a model.
    from service.settings import Settings
    from service.telemetry.logs.setup import start_log

    settings = Settings.from_environment()
    # Before OpenCV is imported: see service/__main__.py.
    os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(max(settings.max_pixels, 2**17))
    from service.app import build

    app, _, _ = build(settings, start_log(settings), _end)
    return _without_request_id(app)


def _without_request_id(app: ASGIApp) -> ASGIApp:
    """The application without X-Request-ID in its responses, to which Ray adds the same one.

    Ray gives an id to each request without one. An id that is not allowed remains in the response
    beside the one that the service has logged instead.
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope.get("headers", ())).get(REQUEST_ID)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    (name, value)
                    for name, value in message["headers"]
                    if (name, value) != (REQUEST_ID, given)
                ]
            await send(message)

        await app(scope, receive, sending)

    return wrapped


def _end(reason: str) -> None:
    raise SystemExit(f"cannot start: {reason}")


app = serve.deployment(serve.ingress(replica)(), name="digitserve").bind()
