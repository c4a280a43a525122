"""Retraining as a job: start, list, follow, cancel, resume, approve. They need the admin token.

    POST /v1/retrain --> database --> worker: train, export, judge, activate
                         GET /v1/retrain/{id}, .../events <-- its states and progress

Without DIGITSERVE_JOBS they answer 404 and how to set it up.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from fastapi import Request as HttpRequest
from pydantic import BaseModel, Field

from contract.jobs import Event, Job, Request, out_of_bounds
from service.api.json_requests import BAD_REQUEST, documented, read_request
from service.api.schemas import refusals
from service.api.switching import NOT_ADMIN
from service.api.v1.admin import Activation
from service.api.v1.job_events import ID, JobStream, JobStreams, SharedReads, chunks, position_of
from service.api.v1.judged import Comparison, comparison_of
from service.errors import Problem
from service.http.body import while_connected
from service.models.store_reader import StoreReader
from service.problem_types.content import BAD_DOCUMENT
from service.problem_types.http import BAD_PARAMETER
from service.problem_types.operation import LIVE_CLOSED, TOO_MANY_WATCHERS
from service.problem_types.retraining import (
    ALREADY_DECIDED,
    IDEMPOTENCY_KEY_REUSED,
    JOB_IN_OTHER_STATE,
    JOBS_UNAVAILABLE,
    NO_COMPARISON,
    NO_SUCH_JOB,
    RETRAINING_NOT_SET_UP,
    TOO_MANY_JOBS,
    TOO_MANY_REQUESTS_WAIT,
)
from service.problem_types.versions import (
    BROKEN_VERSION,
    NO_SUCH_VERSION,
    STORE_UNREADABLE,
    VERSION_IS_WORSE,
)
from service.retraining.jobs import Jobs
from service.settings import Settings

MOST = 100  # jobs or runs in a list
LISTED = 20
BY = "the admin token"  # who approves or rejects
_REFUSED = (*NOT_ADMIN, RETRAINING_NOT_SET_UP, JOBS_UNAVAILABLE, TOO_MANY_REQUESTS_WAIT)
_KEY = r"^[!-~]{1,255}$"

JobIdInPath = Annotated[str, Path(alias="id", max_length=64)]
_LastEventId = Annotated[str, Header(json_schema_extra={"pattern": f"^({ID})?$"})]
Limit = Annotated[int, Query(ge=1, le=MOST, description="the newest that many")]


class JobList(BaseModel):
    jobs: list[Job] = Field(description="the newest first")
    unreadable: int = Field(description="further jobs, written by another version of the worker")
    max_jobs: int = Field(description="how many may wait")


def retrain_routes(
    jobs: Jobs,
    streams: JobStreams,
    store_reader: StoreReader,
    settings: Settings,
    admin: Callable[..., None],
) -> APIRouter:
    shared = SharedReads(jobs)
    router = APIRouter(prefix="/v1/retrain", tags=["retraining"], dependencies=[Depends(admin)])

    @router.post(
        "",
        summary="Train a new version",
        description="Enqueues a job: the worker trains, exports and judges a version, and "
        "activates it, or not, as `activate` says. One job runs at a time. The same "
        "`Idempotency-Key` with the same request always returns the same job.",
        status_code=202,
        openapi_extra=documented(Request),
        responses={
            200: {"model": Job, "description": "The job that this Idempotency-Key started before"},
            202: {
                "description": "The job waits for the worker",
                "headers": {"Location": {"schema": {"type": "string"}, "description": "the job"}},
            },
            **refusals(
                *BAD_REQUEST, BAD_PARAMETER, *_REFUSED, IDEMPOTENCY_KEY_REUSED, TOO_MANY_JOBS
            ),
        },
    )
    async def retrain(
        request: HttpRequest,
        response: Response,
        idempotency_key: Annotated[str | None, Header(pattern=_KEY)] = None,
    ) -> Job:
        wanted = await read_request(request, Request, settings)
        if (wrong := out_of_bounds(wanted.recipe)) is not None:
            raise Problem(BAD_DOCUMENT, f"recipe: {wrong}")
        job, is_new = await jobs.submit(_job_id(idempotency_key), wanted)
        response.headers["location"] = f"{settings.root_path}/v1/retrain/{job.id}"
        response.status_code = 202 if is_new else 200
        return job

    @router.get("", summary="The newest jobs", responses=refusals(BAD_PARAMETER, *_REFUSED))
    async def list_jobs(limit: Limit = LISTED) -> JobList:
        listed = await jobs.newest(limit)
        return JobList(jobs=listed.jobs, unreadable=listed.unreadable, max_jobs=settings.max_jobs)

    @router.get("/{id}", summary="A job", responses=refusals(*_REFUSED, NO_SUCH_JOB))
    async def show(job_id: JobIdInPath) -> Job:
        return await jobs.job(job_id)

    @router.get(
        "/{id}/events",
        summary="What happens in a job, as it happens",
        description="Server-sent events, those of the past first, until the job has ended. "
        "Reconnect with `Last-Event-ID` to miss none.",
        status_code=200,
        response_class=JobStream,
        responses={
            200: {
                "description": "Server-sent events, each as the schema says",
                "content": {"text/event-stream": {"schema": _EVENT}},
            },
            **refusals(BAD_PARAMETER, *_REFUSED, NO_SUCH_JOB, LIVE_CLOSED, TOO_MANY_WATCHERS),
        },
    )
    async def events(job_id: JobIdInPath, last_event_id: _LastEventId = "") -> JobStream:
        position = position_of(last_event_id)
        streams.check_room()
        first = await jobs.events(job_id, position)
        return JobStream(
            streams, chunks(job_id, shared, position, first, ended=lambda: streams.draining)
        )

    @router.get(
        "/{id}/comparison",
        summary="The version of a job beside the one that served",
        responses=refusals(
            *_REFUSED, NO_SUCH_JOB, NO_COMPARISON, NO_SUCH_VERSION, BROKEN_VERSION, STORE_UNREADABLE
        ),
    )
    async def comparison(request: HttpRequest, job_id: JobIdInPath) -> Comparison:
        job = await jobs.job(job_id)
        return await while_connected(request.receive, comparison_of(job, store_reader, settings))

    _add_actions(router, jobs, settings)
    return router


def _add_actions(router: APIRouter, jobs: Jobs, settings: Settings) -> None:
    refused = (*_REFUSED, NO_SUCH_JOB, JOB_IN_OTHER_STATE)

    @router.post(
        "/{id}/cancel",
        summary="Cancel a job that waits or runs",
        description="A training stops within a second and keeps its state, for `resume`.",
        responses=refusals(*refused),
    )
    async def cancel(job_id: JobIdInPath) -> Job:
        return await jobs.cancel(job_id)

    @router.post(
        "/{id}/resume",
        summary="Continue a job that was cancelled or has failed",
        responses=refusals(*refused),
    )
    async def resume(job_id: JobIdInPath) -> Job:
        return await jobs.resume(job_id)

    @router.post(
        "/{id}/approve",
        summary="Serve the version of a job that awaits approval",
        description="A version whose verdict is `worse` only with `force`.",
        openapi_extra=documented(Activation),
        responses=refusals(*BAD_REQUEST, *refused, ALREADY_DECIDED, VERSION_IS_WORSE),
    )
    async def approve(request: HttpRequest, job_id: JobIdInPath) -> Job:
        force = (await read_request(request, Activation, settings)).force
        return await jobs.decide(job_id, "approve", BY, force=force)

    @router.post(
        "/{id}/reject",
        summary="Do not serve the version of a job that awaits approval",
        responses=refusals(*refused, ALREADY_DECIDED),
    )
    async def reject(job_id: JobIdInPath) -> Job:
        return await jobs.decide(job_id, "reject", BY, force=False)


def _job_id(idempotency_key: str | None) -> str:
    """The same for the same key, in every worker and after a restart."""
    if idempotency_key is None:
        return uuid4().hex
    return "k" + sha256(idempotency_key.encode()).hexdigest()[:31]


_EVENT: dict[str, Any] = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "id": {"type": "string", "description": "for Last-Event-ID"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": f"#/components/schemas/{Event.__name__}"},
        },
        "retry": {"type": "integer", "description": "milliseconds, in the first"},
    },
}
