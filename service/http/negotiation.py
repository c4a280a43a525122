"""The preferences of a client, by the weights in `Accept` and `Accept-Encoding` (RFC 9110, 12.4).

text/plain;q=0.2, application/openmetrics-text;version=1.0.0;q=0.5
    --ranges_of--> Range, Range --preferred, offers--> the offer that is answered
"""

from collections.abc import Sequence
from typing import NamedTuple

LONGEST = 1024  # bytes of a header that is read; a longer one is ignored
_LEAST = 0.0  # weight of what a client does not accept


class Range(NamedTuple):
    """One entry of the header."""

    name: str  # in lower case; may have wildcards
    parameters: dict[str, str]  # but for its weight
    weight: float  # 0: not acceptable


def ranges_of(header: bytes | None) -> list[Range]:
    """The entries of a header; none if it is absent or too long to be read."""
    if not header or len(header) > LONGEST:
        return []
    entries = header.decode("latin-1").lower().split(",")
    return [_range_of(entry) for entry in entries if entry.strip()]


def preferred(accept: bytes | None, offers: Sequence[str]) -> str | None:
    """The media type that a client prefers; the first offer if it names none.

    Of types with the same weight the one that it names most exactly, then the earlier offer.
    None: it accepts none of them.
    """
    ranges = ranges_of(accept)
    if not ranges:
        return offers[0]
    offered = [_range_of(offer.lower()) for offer in offers]
    judged = [max(_judged(each, offer) for each in ranges) for offer in offered]
    best = max(range(len(offers)), key=lambda at: (judged[at][1], judged[at][0], -at))
    return offers[best] if judged[best][1] > _LEAST else None


def _range_of(entry: str) -> Range:
    name, *parts = entry.split(";")
    parameters, weight = {}, 1.0
    for part in parts:
        key, _, value = part.partition("=")
        if key.strip() == "q":
            weight = _weight_of(value)
        else:
            parameters[key.strip()] = value.strip().strip('"')
    return Range(name.strip(), parameters, weight)


def _weight_of(text: str) -> float:
    """What is no number between 0 and 1 accepts nothing."""
    try:
        weight = float(text)
    except ValueError:
        return _LEAST
    return weight if 0 <= weight <= 1 else _LEAST


def _judged(entry: Range, offer: Range) -> tuple[int, float]:
    """How exactly an entry names an offer, and the weight it gives; (-1, 0): another type.

    The most exact entry decides, so these compare by it first.
    """
    kind = offer.name.partition("/")[0]
    exactness = {"*/*": 0, f"{kind}/*": 1, offer.name: 2}.get(entry.name)
    if exactness is None:
        return -1, _LEAST
    for key, value in entry.parameters.items():
        if offer.parameters.get(key, value) != value:
            return -1, _LEAST
        exactness += key in offer.parameters
    return exactness, entry.weight
