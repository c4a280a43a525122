"""A switch of the version that serves, as the routes of /v1 and of /v2 that make one answer it."""

from collections.abc import Awaitable

from pydantic import BaseModel, Field

from contract.errors import NoVersion, StoreError, WorseVersion
from service.api.schemas import ServedModel
from service.errors import Problem
from service.models.loading import GateFailed
from service.models.manager import Activated, ModelManager
from service.models.store_reads import store_problem
from service.problem_types.operation import ADMIN_CLOSED, NO_ADMIN_TOKEN, WRONG_ADMIN_TOKEN
from service.problem_types.versions import (
    NO_SUCH_MODEL,
    NO_SUCH_VERSION,
    STORE_UNREADABLE,
    SWITCH_NOT_RECORDED,
    SWITCH_UNDER_WAY,
    VERSION_FAILED_CHECK,
    VERSION_IS_WORSE,
)
from service.workers.peers import Peers

# The problems of routes that require the admin token, and of those that switch.
NOT_ADMIN = (NO_ADMIN_TOKEN, WRONG_ADMIN_TOKEN, ADMIN_CLOSED)
NO_MODEL_OR_VERSION = (NO_SUCH_MODEL, NO_SUCH_VERSION)
NOT_SWITCHED = (
    *NO_MODEL_OR_VERSION,
    VERSION_FAILED_CHECK,
    SWITCH_NOT_RECORDED,
    SWITCH_UNDER_WAY,
    STORE_UNREADABLE,
)


class Switched(BaseModel):
    model: ServedModel
    previous: str | None = Field(description="the version that served before, warm for a rollback")
    behind: list[int] = Field(
        description="workers that still serve another version; /v1/status says which"
    )
    warnings: list[str] = Field(
        description="what is worse than in the version that was current, if it was forced, and "
        "what could not be compared with it"
    )


async def switched(
    switching: Awaitable[Activated],
    serving: ModelManager,
    peers: Peers,
    *,
    forced: str = '{"force": true}',
) -> Switched:
    """The response once all workers have switched; Problem 409 if the switch was not made.

    `forced` is what a client of the route sends to activate a worse version.
    """
    try:
        model, warnings = await switching
    except WorseVersion as error:
        advice = f"Send {forced} to activate it all the same"
        raise Problem(VERSION_IS_WORSE, f"{error} {advice}") from error
    except GateFailed as failure:
        raise failure.problem(serving.store) from failure
    except NoVersion:
        raise
    except (StoreError, OSError) as error:
        raise store_problem(error, serving.store) from error
    previous = serving.previous
    return Switched(
        model=ServedModel(**model.named),
        previous=str(previous.number) if previous else None,
        behind=await peers.barrier(),
        warnings=[*warnings],
    )
