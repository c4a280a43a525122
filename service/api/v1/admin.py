"""The routes that change which version serves. They require the admin token, or are closed."""

from collections.abc import Callable

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from contract.errors import NoVersion
from service.api.json_requests import BAD_REQUEST, documented, read_request
from service.api.params import check_name, number_of
from service.api.schemas import refusals
from service.api.switching import NOT_ADMIN, NOT_SWITCHED, Switched, switched
from service.models.manager import ModelManager
from service.models.store_reads import store_problem
from service.problem_types.versions import (
    NO_PREVIOUS_VERSION,
    NO_SUCH_VERSION,
    VERSION_IS_WORSE,
)
from service.settings import Settings
from service.workers.peers import Peers


class Activation(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    force: bool = Field(
        default=False,
        description="even if it is worse than the current version, by its gate or its accuracy",
    )


def admin_routes(
    serving: ModelManager, settings: Settings, peers: Peers, admin: Callable[..., None]
) -> APIRouter:
    router = APIRouter(prefix="/v1/models/{name}", tags=["models"], dependencies=[Depends(admin)])

    @router.post(
        "/versions/{version}/activate",
        summary="Serve another version",
        openapi_extra=documented(Activation),
        responses=refusals(*BAD_REQUEST, *NOT_ADMIN, *NOT_SWITCHED, VERSION_IS_WORSE),
    )
    async def activate(request: Request, name: str, version: str) -> Switched:
        check_name(name, settings.model)
        number = number_of(version)
        force = (await read_request(request, Activation, settings)).force
        try:
            return await switched(serving.activate(number, force=force), serving, peers)
        except NoVersion as error:
            raise store_problem(error, serving.store, NO_SUCH_VERSION) from error

    @router.post(
        "/rollback",
        summary="Serve the version that was current before",
        responses=refusals(*NOT_ADMIN, *NOT_SWITCHED, NO_PREVIOUS_VERSION),
    )
    async def rollback(name: str) -> Switched:
        check_name(name, settings.model)
        try:
            return await switched(serving.rollback(), serving, peers)
        except NoVersion as error:
            raise store_problem(error, serving.store, NO_PREVIOUS_VERSION) from error

    return router
