"""GET /v1/retrain/{id}/comparison: how a job's version was judged, from the files of the version.

card.json     labels and the gate: verdict, checks
gate.json     both confusion matrices, on the same test images
changed.json  what is on changed.png: test images that one of the two classifies correctly
"""

from typing import Any

import orjson
from pydantic import BaseModel, Field

from contract.card import CHANGED, CHANGED_FACTS, GATE, Gate
from contract.jobs import Job
from service.errors import Problem
from service.models.store_reader import StoreReader
from service.problem_types.retraining import NO_COMPARISON
from service.settings import Settings


class ComparedVersion(BaseModel):
    version: str
    confusion: list[list[int]] | None = Field(
        description="how often class `row` was predicted as class `column`, of the test images "
        "that both versions classified; null: too many classes, or not comparable"
    )


class Changed(BaseModel):
    image: str = Field(description="path of a PNG: a sheet of images, row by row")
    facts: dict[str, Any] = Field(
        description="changed.json: size and number of the images; label, and the prediction of "
        "`candidate` and of `current`, of each"
    )


class Comparison(BaseModel):
    labels: list[str]
    candidate: ComparedVersion = Field(description="the version of the job")
    current: ComparedVersion = Field(description="the version that served when it was judged")
    gate: Gate
    changed: Changed | None = Field(
        description="test images that one of the two classifies correctly; null: there are none"
    )


async def comparison_of(job: Job, store_reader: StoreReader, settings: Settings) -> Comparison:
    """Raises Problem if there is no comparison, or the version cannot be read."""
    if job.version is None:
        raise Problem(NO_COMPARISON, f"job {job.id} has published no version")
    card, _ = await store_reader.card(job.version)
    if card.gate is None:
        raise Problem(
            NO_COMPARISON, f"version {job.version} was the first one: there was none to compare"
        )
    confusion: dict[str, Any] = {}
    if GATE in card.files:
        confusion = await _document(store_reader, job.version, GATE)
        confusion = confusion.get("confusion") or {}
    changed = None
    if CHANGED in card.files:
        files = f"{settings.root_path}/v1/models/{settings.model}/versions/{job.version}/files"
        facts = await _document(store_reader, job.version, CHANGED_FACTS)
        changed = Changed(image=f"{files}/{CHANGED}", facts=facts)
    return Comparison(
        labels=list(card.labels),
        candidate=ComparedVersion(version=str(job.version), confusion=confusion.get("candidate")),
        current=ComparedVersion(version=str(card.gate.parent), confusion=confusion.get("current")),
        gate=card.gate,
        changed=changed,
    )


async def _document(store_reader: StoreReader, number: int, name: str) -> dict[str, Any]:
    content, _ = await store_reader.file(number, name)
    document: dict[str, Any] = orjson.loads(content)
    return document
