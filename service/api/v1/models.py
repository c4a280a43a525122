"""The routes that list models: what is served, what is in the store, and the card of each version.

They only read, and need no admin token. No file is hashed: a listed version may still fail a gate
when it is activated.
"""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from contract.card import ModelCard
from service.api.params import check_name, number_of
from service.api.schemas import refusals
from service.api.v1.comparison import SecondaryModel
from service.http.body import while_connected
from service.lifecycle import Life
from service.models.manager import ModelManager
from service.models.store_reader import StoreReader, VersionSummary, public_card
from service.problem_types.http import BAD_PARAMETER
from service.problem_types.versions import (
    BROKEN_VERSION,
    NO_SUCH_MODEL,
    NO_SUCH_VERSION,
    STORE_UNREADABLE,
)
from service.settings import Settings

State = Literal["serving", "stopping"]
Loaded = Literal["serves", "warm", "compared"]

_NAME = Field(examples=["digits"])
_VERSION = Field(description="the one that serves", examples=["3"])
_LOADED = Field(
    description="warm: for a rollback that waits for nothing; compared: for answers beside those "
    "of the one that serves; null: not loaded"
)
_CURRENT = Field(description="whether the store says that it is to be served")


class ModelSummary(BaseModel):
    name: str = _NAME
    version: str = _VERSION
    versions: list[str] = Field(description="in the store, newest first", examples=[["3", "2"]])
    state: State


class Models(BaseModel):
    models: list[ModelSummary]


class ListedVersion(BaseModel):
    version: str = Field(examples=["3"])
    current: bool = _CURRENT
    loaded: Loaded | None = _LOADED
    created: datetime | None = Field(description="null: its card cannot be read")
    accuracy: float | None = Field(
        description="fraction of its test set that it answers right; null: unknown",
        examples=[0.9961],
    )
    data_set: str | None = Field(
        description="name of the data set that the test set belongs to; null: unknown",
        examples=["mnist"],
    )
    test_images: int | None = Field(
        description="images in the test set; null: unknown", examples=[10_000]
    )
    verdict: Literal["better", "equal", "worse"] | None = Field(
        description="how it compares with the version that was current when it was published; "
        "null: they were not compared"
    )
    compared_with: str | None = Field(description="that version", examples=["2"])
    broken: str | None = Field(description="why its card cannot be read; null: it can")
    damage: str | None = Field(
        description="why it cannot be served, although its card can be read: a file is missing or "
        "not the one on the card, or the signature is not trusted; found within a minute or so; "
        "null: nothing is known to be wrong"
    )


class ModelDetail(BaseModel):
    name: str = _NAME
    version: str = _VERSION
    state: State
    count: int = Field(description="versions in the store", examples=[1])
    versions: list[ListedVersion] = Field(description="the newest of them, newest first")
    card: ModelCard = Field(description="of the version that serves")


class VersionDetail(BaseModel):
    name: str = _NAME
    version: str = Field(examples=["2"])
    current: bool = _CURRENT
    loaded: Loaded | None = _LOADED
    card: ModelCard


_NO_VERSION = (NO_SUCH_MODEL, NO_SUCH_VERSION, BROKEN_VERSION, STORE_UNREADABLE)
_Limit = Annotated[int, Query(ge=1, le=1000, description="versions listed, at most")]


def catalog_routes(
    serving: ModelManager,
    secondary: SecondaryModel,
    store_reader: StoreReader,
    settings: Settings,
    life: Life,
) -> APIRouter:
    router = APIRouter(prefix="/v1/models", tags=["models"])

    def state() -> State:
        return "stopping" if life.draining else "serving"

    def loaded(number: int) -> Loaded | None:
        if number == serving.model.number:
            return "serves"
        if secondary.is_warm(number):
            return "warm"
        return "compared" if number == secondary.number else None

    @router.get("", summary="What is served here", responses=refusals(STORE_UNREADABLE))
    async def models(request: Request) -> Models:
        numbers = await while_connected(request.receive, store_reader.numbers())
        versions = [str(number) for number in numbers]
        served = ModelSummary(**serving.model.named, versions=versions, state=state())
        return Models(models=[served])

    @router.get(
        "/{name}",
        summary="The card that serves, and all versions",
        responses=refusals(BAD_PARAMETER, NO_SUCH_MODEL, STORE_UNREADABLE),
    )
    async def model(request: Request, name: str, limit: _Limit = 100) -> ModelDetail:
        check_name(name, settings.model)
        count, newest = await while_connected(request.receive, store_reader.newest(limit))
        served = serving.model
        return ModelDetail(
            **served.named,
            state=state(),
            count=count,
            versions=[_listed(each, loaded(each.number)) for each in newest],
            card=public_card(served.card),
        )

    @router.get(
        "/{name}/versions/{version}", summary="A version's card", responses=refusals(*_NO_VERSION)
    )
    async def version(request: Request, name: str, version: str) -> VersionDetail:
        check_name(name, settings.model)
        number = number_of(version)
        card, current = await while_connected(request.receive, store_reader.card(number))
        return VersionDetail(
            name=name,
            version=version,
            current=current,
            loaded=loaded(number),
            card=public_card(card),
        )

    return router


def _listed(each: VersionSummary, loaded: Loaded | None) -> ListedVersion:
    return ListedVersion(
        version=str(each.number),
        current=each.current,
        loaded=loaded,
        created=each.created,
        accuracy=each.accuracy,
        data_set=each.data_set.name if each.data_set else None,
        test_images=each.data_set.test if each.data_set else None,
        verdict=each.gate.verdict if each.gate else None,
        compared_with=str(each.gate.parent) if each.gate else None,
        broken=each.broken,
        damage=each.damage,
    )
