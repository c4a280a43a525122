"""GET /v1/live, as FastAPI knows and documents it; `event_stream` answers it."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from service.event_stream import EventStream
from service.live import Live
from service.openapi import refusals
from service.problem_types.http import BAD_PARAMETER
from service.problem_types.operation import LIVE_CLOSED, TOO_MANY_WATCHERS
from service.pulse import Pulse

# In OpenAPI 3.1 the schema of a stream is that of each event, where anybody agrees on anything.
_EVENT = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": f"#/components/schemas/{Pulse.__name__}"},
        },
        "retry": {"type": "integer", "description": "milliseconds, in the first"},
    },
}
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events, each as the schema says",
        "content": {"text/event-stream": {"schema": _EVENT}},
    }
}
_REFUSED = refusals(BAD_PARAMETER, LIVE_CLOSED, TOO_MANY_WATCHERS)


def live_routes(live: Live) -> APIRouter:
    router = APIRouter()

    @router.get(
        "/v1/live",
        summary="Rates, quantiles, batches and queue, twice a second",
        description="A stream without end: an event at once and one each half second, until the "
        "client hangs up or the service stops. With several workers each tells of all.",
        tags=["operation"],
        status_code=200,
        response_class=EventStream,
        responses=_ANSWER | _REFUSED,
    )
    async def watch(
        events: Annotated[int, Query(ge=0, description="end after so many; 0: never")] = 0,
    ) -> EventStream:
        return EventStream(live, events)

    return router
