"""The review of corrections: list, look at, accept, reject and delete. For the admin token.

An image is identified by the hash of its pixels, and was given one label or several, each of them
accepted, waiting or rejected.
"""

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, Field

from contract.corrections import HASH, Correction, Corrections, NoCorrection, State, is_held_out
from preprocessing.encoding import PNG
from service.api.schemas import refusals
from service.api.switching import NOT_ADMIN
from service.errors import Problem
from service.feedback.folder import FeedbackFolder
from service.problem_types.feedback import (
    FEEDBACK_DISK_FULL,
    FEEDBACK_OFF,
    FEEDBACK_UNAVAILABLE,
    LABEL_NEEDED,
    NO_SUCH_CORRECTION,
)
from service.problem_types.http import BAD_PARAMETER
from service.settings import Settings

log = logging.getLogger("service")


class GivenLabel(BaseModel):
    label: str
    state: State
    reviewed: bool = Field(description="accepted by an admin: it counts in the gate's verdict")
    created: datetime = Field(description="when it was first sent")


class CorrectedImage(BaseModel):
    sha256: str = Field(description="its id: the hash of its pixels")
    held_out: bool = Field(description="never trained on: it judges what was trained")
    disputed: bool = Field(description="whether several labels of it are not rejected")
    labels: list[GivenLabel] = Field(description="that it was given, the first one first")


class FeedbackLimits(BaseModel):
    corrections: int = Field(description="DIGITSERVE_FEEDBACK_MAX: accepted and waiting ones")
    bytes: int = Field(description="DIGITSERVE_FEEDBACK_BYTES: of accepted and waiting ones")
    days: int = Field(description="DIGITSERVE_FEEDBACK_DAYS: then a correction is deleted")
    a_minute: int = Field(description="DIGITSERVE_FEEDBACK_RATE: of one client")


class FeedbackList(BaseModel):
    accepted: int = Field(description="corrections, of all images")
    waiting: int
    rejected: int
    bytes: int = Field(description="of all files")
    limits: FeedbackLimits
    images: list[CorrectedImage] = Field(description="of the page, the oldest first")
    next: str | None = Field(description="`after` of the next page; null: this is the last one")


class Deleted(BaseModel):
    deleted: int = Field(description="how many labels the image had")


class DeletedAll(BaseModel):
    deleted: int = Field(description="corrections")


_NOT_DONE = (*NOT_ADMIN, FEEDBACK_OFF, FEEDBACK_UNAVAILABLE, BAD_PARAMETER)
_NOT_CHANGED = (*_NOT_DONE, NO_SUCH_CORRECTION, FEEDBACK_DISK_FULL)
_Image = Annotated[str, Path(description="the hash of its pixels", examples=["0" * 64])]
_Label = Annotated[
    str | None,
    Query(description="which of its labels; may be left out where it has one", max_length=256),
]
_State = Annotated[
    State | None, Query(description="images with a label in that state; unset: all images")
]
_Limit = Annotated[int, Query(ge=1, le=1000, description="images of a page, at most")]
_After = Annotated[str | None, Query(description="`next` of the page before", max_length=128)]


def review_routes(
    folder: FeedbackFolder, settings: Settings, admin: Callable[..., None]
) -> APIRouter:
    router = APIRouter(prefix="/v1/feedback", tags=["corrections"], dependencies=[Depends(admin)])
    limits = FeedbackLimits(
        corrections=settings.feedback_max,
        bytes=settings.feedback_bytes,
        days=settings.feedback_days,
        a_minute=settings.feedback_rate,
    )

    @router.get("", summary="The corrected images", responses=refusals(*_NOT_DONE))
    async def corrections(
        state: _State = None, limit: _Limit = 100, after: _After = None
    ) -> FeedbackList:
        def listed(corrections: Corrections) -> FeedbackList:
            found = [*corrections.all()]
            images, following = _page(found, state, limit, after)
            return FeedbackList(
                **{name: sum(each.state == name for each in found) for name in _COUNTED},
                bytes=sum(each.size for each in found),
                limits=limits,
                images=images,
                next=following,
            )

        return await folder.do(listed)

    @router.get(
        "/{sha256}",
        summary="A corrected image, as the network saw it",
        response_class=Response,
        responses={200: {"content": {PNG: {}}}, **refusals(*_NOT_DONE, NO_SUCH_CORRECTION)},
    )
    async def image(sha256: _Image) -> Response:
        key = _key(sha256)
        png = await folder.do(lambda corrections: corrections.png(key))
        return Response(png, media_type=PNG, headers={"cache-control": "no-store"})

    async def changed(sha256: str, change: Callable[[Corrections, str], object]) -> CorrectedImage:
        key = _key(sha256)

        def work(corrections: Corrections) -> CorrectedImage:
            change(corrections, key)
            found = corrections.of(key)
            if not found:
                raise NoCorrection(f"the image {key} was deleted meanwhile")
            return _image(found)

        return await folder.change(work)

    @router.post(
        "/{sha256}/accept",
        summary="Accept a label of an image, and reject its others",
        responses=refusals(*_NOT_CHANGED, LABEL_NEEDED),
    )
    async def accept(sha256: _Image, label: _Label = None) -> CorrectedImage:
        return await changed(sha256, lambda corrections, key: corrections.accept(key, label))

    @router.post(
        "/{sha256}/reject",
        summary="Reject a label of an image, or all of them",
        responses=refusals(*_NOT_CHANGED),
    )
    async def reject(sha256: _Image, label: _Label = None) -> CorrectedImage:
        return await changed(sha256, lambda corrections, key: corrections.reject(key, label))

    @router.delete(
        "",
        summary="Delete all corrections that wait, or all that were rejected",
        responses=refusals(*_NOT_DONE),
    )
    async def delete_all(state: Literal["waiting", "rejected"]) -> DeletedAll:
        deleted = await folder.change(lambda corrections: corrections.delete_all(state))
        log.info("deleted %d %s corrections for an admin", deleted, state)
        return DeletedAll(deleted=deleted)

    @router.delete(
        "/{sha256}",
        summary="Delete an image with all its labels",
        responses=refusals(*_NOT_CHANGED),
    )
    async def delete(sha256: _Image) -> Deleted:
        key = _key(sha256)
        return Deleted(deleted=await folder.change(lambda corrections: corrections.delete(key)))

    return router


_COUNTED: tuple[State, ...] = ("accepted", "waiting", "rejected")


def _key(sha256: str) -> str:
    if not re.fullmatch(HASH, sha256):
        raise Problem(NO_SUCH_CORRECTION, f"{sha256[:64]!r} is no image: it has 64 hex digits")
    return sha256


def _page(
    found: Iterable[Correction], state: State | None, limit: int, after: str | None
) -> tuple[list[CorrectedImage], str | None]:
    """The images that follow `after`, the oldest first, and where the next page begins."""
    images: dict[str, list[Correction]] = {}
    for each in found:
        images.setdefault(each.sha256, []).append(each)
    places = {_place(each): each for each in images.values() if _has(each, state)}
    rest = sorted(place for place in places if after is None or place > after)
    following = rest[limit - 1] if len(rest) > limit else None
    return [_image(places[place]) for place in rest[:limit]], following


def _has(corrections: Sequence[Correction], state: State | None) -> bool:
    return state is None or any(each.state == state for each in corrections)


def _place(corrections: Sequence[Correction]) -> str:
    """Of an image in the list: it sorts as its time does, and is unique."""
    first = min(each.created for each in corrections)
    return f"{int(first * 1000):015}-{corrections[0].sha256}"


def _image(corrections: Sequence[Correction]) -> CorrectedImage:
    ordered: list[Any] = sorted(corrections, key=attrgetter("created", "label"))
    return CorrectedImage(
        sha256=ordered[0].sha256,
        held_out=is_held_out(ordered[0].sha256),
        disputed=sum(each.state != "rejected" for each in ordered) > 1,
        labels=[
            GivenLabel(
                label=each.label,
                state=each.state,
                reviewed=each.reviewed,
                created=datetime.fromtimestamp(each.created, UTC),
            )
            for each in ordered
        ],
    )
