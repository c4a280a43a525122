"""Training runs of this machine: GET /v1/runs and /v1/runs/{id}. They need the admin token.

Also those that were started at a terminal. Without DIGITSERVE_RUNS they answer 404.
"""

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field

from service.api.schemas import refusals
from service.api.switching import NOT_ADMIN
from service.errors import Problem
from service.problem_types.http import BAD_PARAMETER
from service.problem_types.retraining import (
    NO_SUCH_RUN,
    RUNS_NOT_SHOWN,
    RUNS_UNREADABLE,
    TOO_MANY_REQUESTS_WAIT,
)
from service.retraining.runs import RunDetails, Runs, RunSummary
from service.retraining.thread import BlockingCalls
from service.settings import Settings

MOST, LISTED = 100, 20
_REFUSED = (*NOT_ADMIN, RUNS_NOT_SHOWN, RUNS_UNREADABLE, TOO_MANY_REQUESTS_WAIT)
T = TypeVar("T")


class RunList(BaseModel):
    runs: list[RunSummary] = Field(description="the newest first")
    unreadable: int = Field(description="further runs, whose files cannot be read")


def run_routes(calls: BlockingCalls, settings: Settings, admin: Callable[..., None]) -> APIRouter:
    """`calls` carries out the reads."""
    router = APIRouter(prefix="/v1/runs", tags=["retraining"], dependencies=[Depends(admin)])
    runs = Runs(settings.runs) if settings.runs is not None else None

    async def read(work: Callable[[Runs], T]) -> T:
        if runs is None:
            raise Problem(
                RUNS_NOT_SHOWN,
                "training runs are not shown: set DIGITSERVE_RUNS to the folder that "
                "`python -m training` writes them to",
            )
        try:
            return await calls.call(lambda: work(runs))
        except (OSError, TimeoutError, ValueError):
            raise Problem(
                RUNS_UNREADABLE,
                "the folder of training runs (DIGITSERVE_RUNS), or the run's own, cannot be read",
                headers={"retry-after": "5"},
            ) from None

    @router.get(
        "",
        summary="The newest training runs of this machine",
        responses=refusals(BAD_PARAMETER, *_REFUSED),
    )
    async def list_runs(limit: Annotated[int, Query(ge=1, le=MOST)] = LISTED) -> RunList:
        listed = await read(lambda runs: runs.newest(limit))
        return RunList(runs=listed.runs, unreadable=listed.unreadable)

    @router.get(
        "/{id}",
        summary="A training run: its curve, epochs and metrics",
        responses=refusals(*_REFUSED, NO_SUCH_RUN),
    )
    async def show(run_id: Annotated[str, Path(alias="id", max_length=64)]) -> RunDetails:
        run = await read(lambda runs: runs.run(run_id))
        if run is None:
            raise Problem(NO_SUCH_RUN, "there is no training run with this id")
        return run

    return router
