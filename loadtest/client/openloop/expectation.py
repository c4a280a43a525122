"""Requests that are made once, each with what its answer must contain."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from loadtest.client.asyncio_client import LOST, ask_once
from loadtest.client.requests import PREDICT, Pictures, post
from loadtest.client.result import Address
from loadtest.errors import CannotMeasure


class ExpectedRequest(NamedTuple):
    data: bytes
    expected: bytes  # part of every right answer and of no wrong one; empty: any answer is right


def requests_of(pictures: Pictures, key: str | None = None) -> list[ExpectedRequest]:
    """One picture each; `key` for a service that requires one."""
    headers = {"Content-Type": "image/png"} | ({"X-API-Key": key} if key else {})
    return [
        ExpectedRequest(post(PREDICT, png, headers), b'"label":%s' % json.dumps(label).encode())
        for png, label in zip(pictures.pngs, pictures.labels, strict=True)
    ]


def answered_right(address: Address, requests: Sequence[ExpectedRequest]) -> list[ExpectedRequest]:
    """Those that are answered right while there is no other load; CannotMeasure if none is.

    What the network misreads is no failure of a service under load.
    """
    right = []
    for request in requests:
        try:
            answer = ask_once(address, request.data)
        except LOST as error:
            raise CannotMeasure(f"{address} does not answer: {error!r}") from error
        if answer.status != 200:
            said = answer.body[:300].decode(errors="replace")
            raise CannotMeasure(f"{address} answered a picture with {answer.status}: {said}")
        if request.expected in answer.body:
            right.append(request)
    if not right:
        raise CannotMeasure(f"{address} reads none of {len(requests)} pictures right")
    return right
