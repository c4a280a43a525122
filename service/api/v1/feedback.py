"""POST /v1/feedback: an image and the label that it should have had.

    body --bodies, images--> pixels --batcher--> does the model contradict? --FeedbackFolder--> JSON

The body is one of /v1/predict with one image, prepared in the same way. `label` is in the URL's
query with an image file, else a field of the form or of the JSON; so is `request_id`, the id of the
prediction that is corrected, for the log. The model's answer counts in no metric of predictions.
"""

import asyncio
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema
from starlette.types import Receive, Scope, Send

from contract.corrections import State, hash_of, is_held_out
from preprocessing.digits.normalize import InkMode
from preprocessing.preparation import Preparer
from service.api.options import options_as
from service.api.predictions import BatchPredictions, Replaced
from service.api.schemas import Class, ServedModel
from service.api.v1.bodies import ImageFile, Texts
from service.api.v1.content_types import check_head, form_of
from service.api.v1.images import pixels_of
from service.batching.batcher import Batcher
from service.batching.interface import BatchResult, DeadlinePassed
from service.errors import Problem
from service.feedback.folder import FeedbackFolder
from service.feedback.rates import client_at
from service.http.asgi import AsgiEndpoint
from service.http.auth import Access
from service.http.body import BufferBudget
from service.http.cross_site import check_site
from service.http.exchange import Endpoint, Exchange
from service.http.offload import Offload
from service.models.loading import Model
from service.models.manager import ModelManager
from service.problem_types.content import EMPTY_BODY
from service.problem_types.feedback import UNKNOWN_LABEL
from service.problem_types.prediction import BAD_OPTION, TOO_MANY_PICTURES
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics
from service.tensors import Pixels

ROUTE = "/v1/feedback"
READING = 4  # times the bytes of a form that reading it takes
SUSPICIOUS = 0.999  # of a label that the model contradicts with more confidence
SHOWN_LABELS = 20  # in an error
REQUEST_ID = r"[A-Za-z0-9._:-]{1,128}"  # as X-Request-ID has them

log = logging.getLogger("service")


class CorrectionOptions(BaseModel):
    """The query of the URL."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str | SkipJsonSchema[None] = Field(
        default=None,
        description="what the image shows: one of the model's labels; with an image file as the "
        "body, which has no other place for it",
        examples=["7"],
    )
    request_id: Annotated[str, Field(pattern=f"^{REQUEST_ID}$")] | SkipJsonSchema[None] = Field(
        default=None, description="X-Request-ID of the prediction that is corrected, for the log"
    )
    ink: InkMode = Field(
        default="auto", description="as the prediction had it: see /v1/predict", examples=["auto"]
    )


class Added(BaseModel):
    """The response."""

    sha256: str = Field(description="the image's id under /v1/feedback: the hash of its pixels")
    label: str
    state: State | Literal["not_needed"] = Field(
        description="accepted: the next training uses it; waiting: an admin decides; rejected: an "
        "admin has decided against it; not_needed: nothing is stored, the model gives this label"
    )
    held_out: bool = Field(description="a fifth is never trained on: it judges what was trained")
    prediction: Class = Field(description="the prediction of the served version")
    model: ServedModel


@dataclass
class Correct:
    """The ASGI application of the route; each request has an endpoint of its own."""

    folder: FeedbackFolder
    serving: ModelManager
    batcher: Batcher[BatchPredictions]
    offload: Offload
    access: Access
    settings: Settings
    metrics: Metrics
    budget: BufferBudget
    # Referenced here, or they could be collected as garbage.
    storing: set[asyncio.Task[None]] = field(default_factory=set)
    path = ROUTE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = self  # as FastAPI's own routes do, for the labels of metrics
        peer = scope["client"]
        endpoint = CorrectionEndpoint(self, client_at(peer[0] if peer else ""))
        services = self.settings, self.metrics, self.budget
        await AsgiEndpoint(endpoint, *services)(scope, receive, send)


@dataclass
class CorrectionEndpoint(Endpoint):
    """An endpoint for one request."""

    route = ROUTE
    method = "POST"

    app: Correct
    client: bytes  # where there are no keys

    def admit(self, headers: Mapping[bytes, bytes]) -> None:
        check_site(headers, self.app.settings.cors_origins)
        self.app.folder.admit(self.app.access.key_of(headers) or self.client)
        check_head(headers)

    def begin(self, exchange: Exchange) -> None:
        exchange.beside = True
        if not exchange.body:
            raise Problem(EMPTY_BODY, "the body is empty; send an image file as the request's body")
        options = options_as(CorrectionOptions, exchange.query)
        texts: Texts = {"label": options.label, "request_id": options.request_id}
        model, settings = self.app.serving.model, self.app.settings
        if "ink" in options.model_fields_set and not model.prepare.is_for_digits:
            raise Problem(BAD_OPTION, "`ink` is for models of digits: leave it out")
        body, kind = exchange.body, exchange.headers.get(b"content-type", b"")

        def read() -> list[ImageFile]:
            form = form_of(kind, body)
            sent = [ImageFile("", body)] if form is None else form(body, kind, settings, texts)
            _check(sent, texts)
            _check_label(texts["label"], model)
            return sent

        def then(pixels: Pixels, _: float) -> None:
            PendingCorrection(self, exchange, pixels, model.prepare, texts)

        reading = READING * len(body)
        slices = pixels_of(read, reading, model.prepare, options.ink, settings)
        self.app.offload.do(exchange, slices, then)

    def begin_again(self, exchange: Exchange) -> None:
        """With the model that serves now and takes images of another kind; until the deadline."""
        exchange.cancel_work = None
        if exchange.deadline <= perf_counter():
            exchange.fail(DeadlinePassed("the deadline passed while the model was replaced"))
            return
        try:
            self.begin(exchange)
        except Exception as error:
            exchange.fail(error)


class PendingCorrection:
    """The image of a correction in the batcher, and then on its way into the folder."""

    def __init__(
        self,
        endpoint: CorrectionEndpoint,
        exchange: Exchange,
        pixels: Pixels,
        prepare: Preparer,
        texts: Texts,
    ) -> None:
        """`pixels` (1, *shape)."""
        self._endpoint = endpoint
        self._exchange = exchange
        self._pixels = pixels
        self._prepare = prepare
        self._texts = texts
        batcher = endpoint.app.batcher
        waiting = batcher.submit(self, pixels, deadline=exchange.deadline)
        exchange.cancel_work = lambda _: batcher.cancel(waiting)

    def answered(self, run: BatchResult[BatchPredictions], first: int, waited: float) -> None:
        batch = run.answers
        if self._prepare is not batch.model.prepare:
            self.failed(Replaced(batch.model))
            return
        self._exchange.cancel_work = lambda _: None  # what is being stored will be
        task = asyncio.create_task(self._store(batch, first))
        storing = self._endpoint.app.storing
        storing.add(task)
        task.add_done_callback(storing.discard)

    def failed(self, error: Exception) -> None:
        if isinstance(error, Replaced):
            self._endpoint.begin_again(self._exchange)
        else:
            self._exchange.fail(error)

    async def _store(self, batch: BatchPredictions, place: int) -> None:
        try:
            added, is_new = await self._add(batch, place)
            content = orjson.dumps(added.model_dump(exclude_none=True))
        except Exception as error:  # the task has no caller: whatever it is, the client is answered
            self._exchange.fail(error)
            return
        head = b"content-type: application/json\r\n"
        if added.state != "not_needed":
            head += f"location: {ROUTE}/{added.sha256}\r\n".encode()
        self._exchange.reply(201 if is_new else 200, head, content)

    async def _add(self, batch: BatchPredictions, place: int) -> tuple[Added, bool]:
        label, request_id = str(self._texts["label"]), self._texts["request_id"]
        _check_label(label, batch.model)  # another one may serve by now
        predicted = _class(batch, place)
        agrees = predicted.label == label
        kept, is_new = await self._endpoint.app.folder.add(
            self._pixels[0],
            label,
            suspicious=agrees or predicted.confidence > SUSPICIOUS,
            needed=not agrees or batch.uncertain(place, None),
        )
        if kept and request_id is not None:
            log.info(
                "the prediction of request %s is corrected: %r, not %r, %s",
                request_id, label, predicted.label, kept.state,
            )  # fmt: skip
        image = hash_of(self._pixels[0].tobytes())
        added = Added(
            sha256=image,
            label=label,
            state=kept.state if kept else "not_needed",
            held_out=kept is not None and is_held_out(image),
            prediction=predicted,
            model=ServedModel(**batch.model.named),
        )
        return added, is_new


def _check(sent: list[ImageFile], texts: Texts) -> None:
    """Problem unless a request has one image, and a proper id if any."""
    if len(sent) != 1:
        raise Problem(
            TOO_MANY_PICTURES,
            f"{len(sent)} images; a correction is one image with its label: send each by itself",
        )
    request_id = texts["request_id"]
    if request_id is not None and not re.fullmatch(REQUEST_ID, request_id):
        raise Problem(BAD_OPTION, "request_id: it is no X-Request-ID of a response")


def _check_label(label: str | None, model: Model) -> None:
    """Problem 422 unless the model knows the label."""
    labels = model.card.labels
    if label not in labels:
        known = ", ".join(labels[:SHOWN_LABELS]) + (", ..." if len(labels) > SHOWN_LABELS else "")
        labels_are = f"the labels of version {model.number} are {known}"
        given = "`label` is missing" if label is None else f"{label[:64]!r} is not a label"
        raise Problem(UNKNOWN_LABEL, f"{given}: {labels_are}")


def _class(batch: BatchPredictions, place: int) -> Class:
    card, index = batch.model.card, batch.indexes[place]
    digit = {"digit": index} if card.are_digits else {}
    confidence = min(1.0, batch.confidences[place])  # float32 may round to more
    return Class(label=card.labels[index], index=index, confidence=confidence, **digit)
