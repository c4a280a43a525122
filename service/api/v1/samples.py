"""GET /v1/samples/random: an image to try the service with.

It is one of the test images in the version that serves, as JSON for pages or as the PNG itself for
<img> and curl. Sent back, it is prepared to the pixels that were tested: a photo has a margin that
is cut off. The sheet is read, verified and cut at the first request after a switch:

    samples.png   rows of `columns` images of one size, gray or RGB
    samples.json  {"height": 28, "width": 28, "channels": 1, "columns": 10, "labels": ["7", ...]},
                  row by row; or {"side": 28, ...} of gray squares
"""

import json
import secrets
from typing import Annotated, Any
from urllib.parse import quote

import cv2
import numpy as np
from fastapi import APIRouter, Header, Query, Request, Response
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from contract.card import SAMPLE_LABELS, SAMPLES
from contract.errors import BrokenVersion
from contract.version import Version
from preprocessing.encoding import PNG, data_url, png_of
from service.api.schemas import ServedModel, refusals
from service.errors import Problem
from service.http.body import while_connected
from service.http.negotiation import preferred
from service.models.loading import Model
from service.models.manager import ModelManager
from service.models.store_reads import StoreHangs, StoreReads, store_problem
from service.problem_types.versions import (
    NO_SAMPLES,
    NO_SUCH_SAMPLE,
    SAMPLES_UNREADABLE,
    STORE_UNREADABLE,
)


class Sample(BaseModel):
    model: ServedModel
    label: str = Field(description="what is on it", examples=["7"])
    index: int = Field(ge=0, description="in the test set", examples=[0])
    image: str = Field(
        description="PNG as a data URL; digits are light on dark",
        examples=["data:image/png;base64,iVBO..."],
    )


Sheet = tuple[NDArray[np.uint8], list[str]]  # images (n, h, w) or (n, h, w, 3), labels (n,)


class Samples:
    """The sheet of the model that serves, cached until another one does."""

    def __init__(self, reads: StoreReads) -> None:
        self._reads = reads
        self._kept: tuple[Model, Sheet] | None = None

    async def of(self, model: Model) -> Sheet:
        """Raises BrokenVersion if it is missing or not what the card says, StoreHangs if that
        takes too long."""
        sheet = self._sheet(model)
        if sheet is None:
            sheet = await self._reads.read(lambda: self._read(model))
        return sheet

    def _sheet(self, model: Model) -> Sheet | None:
        kept = self._kept
        return kept[1] if kept is not None and kept[0] is model else None

    def _read(self, model: Model) -> Sheet:
        sheet = self._sheet(model)  # another request may have read it meanwhile
        if sheet is None:
            sheet = cut(model.version)
            self._kept = model, sheet
        return sheet


def cut(version: Version) -> Sheet:
    """The images of a version's sheet; raises BrokenVersion if it is not what the card says."""
    path = version.folder / SAMPLES
    try:
        facts = json.loads(version.read(SAMPLE_LABELS))
        labels, columns = [str(label) for label in facts["labels"]], int(facts["columns"])
        height, width = (int(facts.get(name) or facts["side"]) for name in ("height", "width"))
        sheet = _decoded(version.read(SAMPLES), colours=facts.get("channels") == 3)
        places = sheet.reshape(-1, height, columns, width, *sheet.shape[2:]).swapaxes(1, 2)
    except (ValueError, KeyError, TypeError, cv2.error) as error:
        raise BrokenVersion(f"{path} is no sheet of images: {error}") from error
    images = places.reshape(-1, *places.shape[2:])[: len(labels)]  # (n, h, w) or (n, h, w, 3)
    if not 0 < len(labels) == len(images):
        raise BrokenVersion(f"{path} has {len(images)} images for {len(labels)} labels")
    return images.astype(np.uint8), labels


def _decoded(file: bytes, *, colours: bool) -> NDArray[np.uint8]:
    """The sheet, (rows * h, columns * w), and RGB if it has colours; ValueError if it is none."""
    mode = cv2.IMREAD_COLOR_RGB if colours else cv2.IMREAD_GRAYSCALE
    sheet: NDArray[np.uint8] | None = cv2.imdecode(np.frombuffer(file, np.uint8), mode)  # type: ignore[assignment]
    if sheet is None:
        raise ValueError("it cannot be decoded")
    return sheet


_HEADERS = {"X-Label": {"schema": {"type": "string"}, "description": "of the PNG, percent-encoded"}}
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {"headers": _HEADERS, "content": {PNG: {"schema": {"type": "string"}}}}
}
_REFUSED = refusals(NO_SAMPLES, NO_SUCH_SAMPLE, SAMPLES_UNREADABLE, STORE_UNREADABLE)


def sample_routes(serving: ModelManager) -> APIRouter:
    router = APIRouter(prefix="/v1/samples", tags=["prediction"])
    samples = Samples(serving.reads)

    @router.get(
        "/random",
        summary="A test image to try the service with",
        description="JSON, or the PNG itself if `Accept` prefers image/png.",
        response_model=Sample,
        responses=_ANSWER | _REFUSED,
    )
    async def random(
        request: Request,
        label: Annotated[str | None, Query(description="of the image", examples=["7"])] = None,
        accept: Annotated[str, Header()] = "",
    ) -> Response:
        model = serving.model
        sheet = await while_connected(request.receive, _sheet(model))
        index = _chosen(sheet, label)
        return _answer(model, sheet, index, png=_prefers_png(accept))

    async def _sheet(model: Model) -> Sheet:
        if not {SAMPLES, SAMPLE_LABELS} <= {*model.card.files}:
            raise Problem(NO_SAMPLES, "the version that serves brings no samples")
        try:
            return await samples.of(model)
        except BrokenVersion as error:
            raise store_problem(error, serving.store, SAMPLES_UNREADABLE) from error
        except StoreHangs as error:
            raise store_problem(error, serving.store) from error

    return router


def _chosen(sheet: Sheet, label: str | None) -> int:
    fitting = [at for at, each in enumerate(sheet[1]) if label in (None, each)]
    if not fitting:
        there = ", ".join(sorted({*sheet[1]}))
        raise Problem(NO_SUCH_SAMPLE, f"no sample is labelled {label!r}; there are {there}")
    return secrets.choice(fitting)


def _prefers_png(accept: str) -> bool:
    """As <img> does, which accepts any kind of image; a client without a preference gets JSON."""
    return preferred(accept.encode("latin-1"), ("application/json", PNG)) == PNG


def _answer(model: Model, sheet: Sheet, index: int, *, png: bool) -> Response:
    file = png_of(model.prepare.with_margin(sheet[0][index]))
    headers = {"cache-control": "no-store", "vary": "accept"}
    label = sheet[1][index]
    if png:
        return Response(file, headers=headers | {"x-label": quote(label)}, media_type=PNG)
    sample = Sample(
        model=ServedModel(**model.named),
        label=label,
        index=index,
        image=data_url(file),
    )
    return Response(sample.model_dump_json(), headers=headers, media_type="application/json")
