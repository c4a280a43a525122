"""Files of a version that are for people: its plots, metrics and samples.

    GET /v1/models/digits/versions/3/files/confusion_matrix.png

Every version in the store has them, whether it serves or not. Networks are not included: they are
for those with access to the store. Browsers revalidate their copy each time: a version never
changes, but its number may be reused.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response

from preprocessing.encoding import PNG
from service.api.params import check_name, number_of
from service.api.schemas import refusals
from service.http.body import while_connected
from service.models.store_reader import IMAGE, StoreReader
from service.problem_types.versions import (
    BROKEN_VERSION,
    NO_SUCH_FILE,
    NO_SUCH_MODEL,
    NO_SUCH_VERSION,
    STORE_UNREADABLE,
)
from service.settings import Settings

JSON = "application/json"

_TAG = {"ETag": {"schema": {"type": "string"}, "description": "sha256 of the content"}}
_ANSWERED: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": _TAG,
        "content": {
            PNG: {"schema": {"type": "string", "format": "binary"}},
            JSON: {"schema": {}},
        },
    },
    304: {"description": "It is the one that If-None-Match names", "headers": _TAG},
}
_REFUSED = refusals(NO_SUCH_MODEL, NO_SUCH_VERSION, NO_SUCH_FILE, BROKEN_VERSION, STORE_UNREADABLE)


def file_routes(store_reader: StoreReader, settings: Settings) -> APIRouter:
    router = APIRouter(prefix="/v1/models", tags=["models"])

    @router.get(
        "/{name}/versions/{version}/files/{file}",
        summary="An image or document of a version",
        description="The files on the card that end in .png or .json: training_metrics.json, "
        "samples and mistakes, each .json and .png, and the plots of the training. Folders of the "
        "machine that trained are left out.",
        response_class=Response,
        responses=_ANSWERED | _REFUSED,
    )
    async def file(
        request: Request,
        name: str,
        version: str,
        file: str,
        if_none_match: Annotated[str, Header()] = "",
    ) -> Response:
        check_name(name, settings.model)
        content, digest = await while_connected(
            request.receive, store_reader.file(number_of(version), file)
        )
        tag = f'"{digest}"'
        headers = {"etag": tag, "cache-control": "no-cache"}
        if _names(if_none_match, tag):
            return Response(status_code=304, headers=headers)
        kind = PNG if file.endswith(IMAGE) else JSON
        return Response(content, headers=headers, media_type=kind)

    return router


def _names(if_none_match: str, tag: str) -> bool:
    """Also weak tags, as a compressing proxy makes them; * matches any."""
    named = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return bool(named & {tag, "*"})
