"""The routes that change which version serves. They take the admin token, or are closed."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from contract.errors import NoVersion, StoreError
from service.api.params import check_name, number_of
from service.api.schemas import ServedModel, refusals
from service.errors import Problem
from service.models.loading import GateFailed, Model
from service.models.manager import ModelManager, NotRecorded, SwitchUnderWay, without_paths
from service.models.store_reads import store_problem
from service.problem_types.access import ADMIN_CLOSED, NO_ADMIN_TOKEN, WRONG_ADMIN_TOKEN
from service.problem_types.versions import (
    NO_PREVIOUS_VERSION,
    NO_SUCH_MODEL,
    NO_SUCH_VERSION,
    STORE_UNREADABLE,
    SWITCH_NOT_RECORDED,
    SWITCH_UNDER_WAY,
    VERSION_FAILED_CHECK,
)
from service.settings import Settings
from service.workers.peers import Peers

# How routes that take the token refuse, and how a switch does.
NOT_ADMIN = (NO_ADMIN_TOKEN, WRONG_ADMIN_TOKEN, ADMIN_CLOSED)
NO_MODEL_OR_VERSION = (NO_SUCH_MODEL, NO_SUCH_VERSION)
NOT_SWITCHED = (
    *NO_MODEL_OR_VERSION,
    VERSION_FAILED_CHECK,
    SWITCH_NOT_RECORDED,
    SWITCH_UNDER_WAY,
    STORE_UNREADABLE,
)
_REFUSED = refusals(*NOT_ADMIN, *NOT_SWITCHED)


class Switched(BaseModel):
    model: ServedModel
    previous: str | None = Field(description="the version that served before, warm for a rollback")
    behind: list[int] = Field(
        description="workers that still serve another version; /v1/status says which"
    )


def admin_routes(
    serving: ModelManager, settings: Settings, peers: Peers, admin: Callable[..., None]
) -> APIRouter:
    router = APIRouter(prefix="/v1/models/{name}", tags=["models"], dependencies=[Depends(admin)])

    @router.post(
        "/versions/{version}/activate", summary="Serve another version", responses=_REFUSED
    )
    async def activate(name: str, version: str) -> Switched:
        check_name(name, settings.model)
        number = number_of(version)
        try:
            return await switched(serving.activate(number), serving, peers)
        except NoVersion as error:
            raise Problem(NO_SUCH_VERSION, without_paths(error, serving.store)) from error

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
            raise Problem(NO_PREVIOUS_VERSION, without_paths(error, serving.store)) from error

    return router


async def switched(switching: Awaitable[Model], serving: ModelManager, peers: Peers) -> Switched:
    """What became of a switch, once all workers have made it; Problem 409 if it was not made."""
    try:
        model = await switching
    except GateFailed as failure:
        told = without_paths(failure, serving.store)
        raise Problem(
            VERSION_FAILED_CHECK, f"the check {failure.gate!r} failed: {told}"
        ) from failure
    except NotRecorded as error:
        raise Problem(SWITCH_NOT_RECORDED, without_paths(error, serving.store)) from error
    except SwitchUnderWay as error:
        raise Problem(SWITCH_UNDER_WAY, str(error)) from error
    except NoVersion:
        raise
    except (StoreError, OSError) as error:
        raise store_problem(error, without_paths(error, serving.store)) from error
    previous = serving.previous
    return Switched(
        model=ServedModel(**model.named),
        previous=str(previous.number) if previous else None,
        behind=await peers.barrier(),
    )
