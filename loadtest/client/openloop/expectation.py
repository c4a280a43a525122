"""Requests made once, each with what its answer must hold."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from loadtest.client.asyncio_client import LOST, ask_once
from loadtest.client.pictures import Pictures
from loadtest.client.requests import PREDICT, post
from loadtest.client.result import Address
from loadtest.errors import CannotMeasure


class Question(NamedTuple):
    request: bytes
    expected: bytes  # stands in a right answer and in no wrong one; nothing: any answer is right


def questions_of(pictures: Pictures, key: str | None = None) -> list[Question]:
    """One picture each; `key` for a service that asks for one."""
    headers = {"Content-Type": "image/png"} | ({"X-API-Key": key} if key else {})
    return [
        Question(post(PREDICT, png, headers), b'"label":%s' % json.dumps(label).encode())
        for png, label in zip(pictures.pngs, pictures.labels, strict=True)
    ]


def read_at_rest(address: Address, questions: Sequence[Question]) -> list[Question]:
    """Those that are answered right while nothing else is asked; CannotMeasure if none is.

    What the network misreads is no failure of a service under load.
    """
    right = []
    for question in questions:
        try:
            answer = ask_once(address, question.request)
        except LOST as error:
            raise CannotMeasure(f"{address} does not answer: {error!r}") from error
        if answer.status != 200:
            said = answer.body[:300].decode(errors="replace")
            raise CannotMeasure(f"{address} answered a picture with {answer.status}: {said}")
        if question.expected in answer.body:
            right.append(question)
    if not right:
        raise CannotMeasure(f"{address} reads none of {len(questions)} pictures right")
    return right
