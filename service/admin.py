"""The routes that change which version serves. They take the admin token, or are closed."""

import re
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

from contract.current import NUMBER
from contract.errors import NoVersion
from service.model import GateFailed, Model
from service.openapi import ServedModel, refusals
from service.problems import Problem
from service.serving import NotRecorded, Serving
from service.settings import Settings
from service.team import Team

Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]

_REFUSED = refusals(
    {
        401: "No token, or not the admin's",
        403: "No admin token is set, so these routes are closed",
        404: "No such model or version",
        409: "The version failed a check, or the store cannot be written; nothing changed",
    }
)


class Switched(BaseModel):
    model: ServedModel
    previous: str | None = Field(description="the version that served before, warm for a rollback")
    behind: list[int] = Field(
        description="workers that still serve another version; /v1/status says which"
    )


def admin_routes(serving: Serving, settings: Settings, team: Team) -> APIRouter:
    only_admin = Depends(admin_only(settings))
    router = APIRouter(prefix="/v1/models/{name}", tags=["models"], dependencies=[only_admin])

    @router.post(
        "/versions/{version}/activate", summary="Serve another version", responses=_REFUSED
    )
    async def activate(name: str, version: str) -> Switched:
        _check_name(name)
        if not re.fullmatch(NUMBER, version):
            raise Problem(404, f"{version!r} is no version's number", title="No such version")
        try:
            return await switched(serving.activate(int(version)), serving, team)
        except NoVersion as error:
            raise Problem(404, str(error), title="No such version") from error

    @router.post(
        "/rollback", summary="Serve the version that was current before", responses=_REFUSED
    )
    async def rollback(name: str) -> Switched:
        _check_name(name)
        try:
            return await switched(serving.rollback(), serving, team)
        except NoVersion as error:
            raise Problem(409, str(error), title="Nothing to go back to") from error

    def _check_name(name: str) -> None:
        if name != settings.model:
            raise Problem(
                404, f"the model served here is {settings.model!r}", title="No such model"
            )

    return router


def admin_only(settings: Settings) -> Callable[[Credentials], Coroutine[Any, Any, None]]:
    """What routes depend on that are the admin's."""

    async def admin(credentials: Credentials) -> None:
        if settings.admin_token is None:
            raise Problem(403, "the admin routes are closed: DIGITSERVE_ADMIN_TOKEN is not set")
        given = credentials.credentials if credentials else ""
        wanted = settings.admin_token.get_secret_value()
        if not secrets.compare_digest(given.encode(), wanted.encode()):
            raise Problem(
                401,
                "send the admin token: Authorization: Bearer <DIGITSERVE_ADMIN_TOKEN>",
                headers={"www-authenticate": "Bearer"},
            )

    return admin


async def switched(switching: Awaitable[Model], serving: Serving, team: Team) -> Switched:
    """What became of a switch, once all workers have made it; Problem 409 if it was not made."""
    try:
        model = await switching
    except GateFailed as failure:
        raise Problem(409, str(failure), title=f"Failed: {failure.gate}") from failure
    except NotRecorded as error:
        raise Problem(409, f"{error}; nothing changed", title="Not recorded") from error
    previous = serving.previous
    return Switched(
        model=ServedModel(**model.named),
        previous=str(previous.number) if previous else None,
        behind=await team.agree(),
    )
