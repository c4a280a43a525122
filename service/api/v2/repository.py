"""The model repository extension: which versions there are, and which of them serves.

    index   every version in the store: READY the one that serves, UNAVAILABLE the others, and why
    load    serve a version, as the admin routes do: checked first, in every worker
    unload  unload the version that served before; the one that serves cannot be unloaded

A version is named by the parameter "version", or, as Triton's client cannot send that, in the
query (?version=2) or as the version_policy of the config. "force" is a parameter or in the query.
"""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from contract.errors import NoVersion
from service.api.json_requests import BAD_REQUEST, documented, read_request
from service.api.params import check_name, number_of
from service.api.schemas import ServedModel, refusals
from service.api.switching import NO_MODEL_OR_VERSION, NOT_ADMIN, NOT_SWITCHED, Switched, switched
from service.api.v2.model_config import config_of
from service.api.v2.repository_requests import IndexRequest, LoadRequest, UnloadRequest
from service.errors import Problem
from service.http.body import while_connected
from service.models.manager import Activated, ModelManager
from service.models.store_reader import StoreReader
from service.problem_types.http import BAD_PARAMETER
from service.problem_types.versions import (
    FIXED_CONFIGURATION,
    NO_SUCH_VERSION,
    STORE_UNREADABLE,
    SWITCH_UNDER_WAY,
    VERSION_FAILED_CHECK,
    VERSION_IN_USE,
    VERSION_IS_WORSE,
)
from service.settings import Settings
from service.workers.peers import Peers

QueryVersion = Annotated[str | None, Query(alias="version", description="its number")]
QueryForce = Annotated[
    bool, Query(alias="force", description="even if it is worse than the current version")
]
FORCED = '{"parameters": {"force": true}}, or ?force=true in the URL,'


class Entry(BaseModel):
    name: str
    version: str
    state: str = Field(description="READY: it serves; or UNAVAILABLE")
    reason: str = Field(description="why it does not serve, or nothing")


def repository_routes(
    serving: ModelManager,
    settings: Settings,
    peers: Peers,
    store_reader: StoreReader,
    admin: Callable[..., None],
) -> APIRouter:
    only_admin = [Depends(admin)]
    router = APIRouter(prefix="/v2/repository", tags=["Open Inference Protocol"])

    @router.post(
        "/index",
        summary="The versions in the store",
        openapi_extra=documented(IndexRequest),
        responses=refusals(*BAD_REQUEST, STORE_UNREADABLE),
    )
    async def index(request: Request) -> list[Entry]:
        only_ready = (await read_request(request, IndexRequest, settings)).ready
        numbers = sorted(
            {*await while_connected(request.receive, store_reader.numbers()), serving.model.number}
        )
        entries = [_entry(serving, settings.model, number) for number in numbers]
        return [entry for entry in entries if not only_ready or entry.state == "READY"]

    @router.post(
        "/models/{model}/load",
        summary="Serve a version; without one, what the store says is current",
        dependencies=only_admin,
        openapi_extra=documented(LoadRequest),
        responses=refusals(
            *BAD_REQUEST,
            BAD_PARAMETER,
            FIXED_CONFIGURATION,
            *NOT_ADMIN,
            *NOT_SWITCHED,
            VERSION_IS_WORSE,
        ),
    )
    async def load(
        request: Request, model: str, query: QueryVersion = None, force: QueryForce = False
    ) -> Switched:
        check_name(model, settings.model)
        given = (await read_request(request, LoadRequest, settings)).parameters
        version = given.version_asked(config_of(serving.model, settings)) or query
        if version is None:
            return await switched(_current(), serving, peers)
        try:
            number, force = number_of(version), force or given.force
            switching = serving.activate(number, force=force)
            return await switched(switching, serving, peers, forced=FORCED)
        except NoVersion as error:
            raise Problem(NO_SUCH_VERSION, f"version {version} is not in the store") from error

    async def _current() -> Activated:
        """What the store says is current, served if it passes every gate."""
        await serving.wait_for_switch()
        before = serving.last_swap
        await peers.reload()
        last = serving.last_swap
        if last is not None and last is not before and last.result != "swapped":
            raise Problem(
                VERSION_FAILED_CHECK,
                f"version {last.version or '?'} does not serve: {last.reason}",
            )
        return Activated(serving.model)

    @router.post(
        "/models/{model}/unload",
        summary="Unload a version that no longer serves",
        dependencies=only_admin,
        openapi_extra=documented(UnloadRequest),
        responses=refusals(
            *BAD_REQUEST,
            *NOT_ADMIN,
            *NO_MODEL_OR_VERSION,
            VERSION_IN_USE,
            SWITCH_UNDER_WAY,
            STORE_UNREADABLE,
        ),
    )
    async def unload(request: Request, model: str, query: QueryVersion = None) -> ServedModel:
        check_name(model, settings.model)
        version = (await read_request(request, UnloadRequest, settings)).parameters.version or query
        serves = str(serving.model.number)
        if version in (None, serves):
            raise Problem(
                VERSION_IN_USE,
                f"version {serves} of {model!r} serves and is not unloaded: load another version, "
                "and this one can be; or stop the service",
            )
        number = number_of(version)
        if number not in await while_connected(request.receive, store_reader.numbers()):
            raise Problem(NO_SUCH_VERSION, f"version {version} is not in the store")
        await peers.evict(number)
        return ServedModel(name=model, version=version)

    return router


def _entry(serving: ModelManager, name: str, number: int) -> Entry:
    if number == serving.model.number:
        return Entry(name=name, version=str(number), state="READY", reason="")
    last, previous = serving.last_swap, serving.previous
    if last is not None and last.version == number and last.reason is not None:
        reason = last.reason
    elif previous is not None and previous.number == number:
        reason = "loaded, but another version serves"
    else:
        reason = "unloaded"
    return Entry(name=name, version=str(number), state="UNAVAILABLE", reason=reason)
