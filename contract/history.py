"""Which version was made current when: models/<name>/history.jsonl, a line a switch.

    {"at": "2026-01-02T03:04:05Z", "action": "activate", "from": 3, "to": 4}

The file `current` is what counts; the history is written just before it. So if a program is killed
between the two, the last line tells of a switch that never happened, and if somebody writes
`current` by hand, the last line knows nothing of it. `settled` mends both.

Rolling back walks the way back, one version each time: after 1, 2, 3 it is 2, then 1, then refused.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contract.errors import StoreError

LONGEST = 1000  # switches that are remembered


class BadHistory(StoreError):
    """A line of the history is no switch; the message says which."""


class Switch(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True)

    at: datetime
    action: Literal["activate", "rollback", "found"]  # found: `current` was written by hand
    before: int | None = Field(
        validation_alias="from", serialization_alias="from"
    )  # None: nothing was current
    after: int = Field(validation_alias="to", serialization_alias="to")


def parse(text: str) -> list[Switch]:
    """The switches of history.jsonl, oldest first; BadHistory names a line that is none."""
    switches = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            switches.append(Switch.model_validate_json(line))
        except ValidationError as error:
            raise BadHistory(f"line {number} is no switch of versions: {line[:80]!r}") from error
    return switches


def to_text(switches: Sequence[Switch]) -> str:
    lines = (switch.model_dump_json(by_alias=True) for switch in switches[-LONGEST:])
    return "".join(line + "\n" for line in lines)


def settled(switches: Sequence[Switch], current: int | None, since: datetime) -> list[Switch]:
    """The history as it must have been for `current` to be current, which it is `since` then."""
    last = switches[-1] if switches else None
    if current is None or (last and last.after == current):
        return [*switches]
    if last and last.before == current:  # cut off before it took place, or taken back by hand
        return [*switches[:-1]]
    before = last.after if last else None
    return [*switches, Switch(at=since, action="found", before=before, after=current)]


def way_back(switches: Sequence[Switch]) -> list[int]:
    """The versions that rolling back leads through, the next one last."""
    way: list[int] = []
    for switch in switches:
        if switch.action == "rollback":
            while way and way.pop() != switch.after:
                pass
        elif switch.before is not None:
            way.append(switch.before)
    return way


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
