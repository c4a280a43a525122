"""What `python -m contract` answers: each once for programs, once as a table for people."""

from typing import Any

from contract import card_tables
from contract.card import ModelCard
from contract.errors import BrokenVersion, NoVersion, StoreError
from contract.history import Switch
from contract.store import Store
from contract.tables import percent, size, table
from contract.version import SIGNATURE

Answer = tuple[Any, str]  # for programs, for people


def listing(store: Store) -> Answer:
    current = _current(store)
    rows: list[list[str]] = []
    answer: list[dict[str, Any]] = []
    for number in store.versions():
        known = {"version": number, "current": number == current}
        first = [f"{number}", "*" if number == current else ""]
        try:
            facts, row = _summary(store.card(number), store.signature(number))
        except StoreError as error:
            facts, row = {"broken": str(error)}, ["", "", "", "", "", f"broken: {error}"]
        answer.append(known | facts)
        rows.append(first + row)
    if not rows:
        return [], f"{store.folder} holds no version: export one (make export)"
    head = ["version", "current", "created", "network", "data", "right", "size", ""]
    return answer, table(head, rows)


def showing(store: Store, number: int) -> Answer:
    card = store.card(number)
    text = "\n\n".join(
        [
            card_tables.facts(card, f"{store.folder / str(number)}{_remark(store, number)}"),
            card_tables.artifacts(card),
            card_tables.classes(card),
            card_tables.files(card),
        ]
    )
    facts = {
        "version": number,
        "current": number == _current(store),
        "signature": store.signature(number),
        "card": card.model_dump(mode="json"),
    }
    return facts, text


def verifying(store: Store, number: int) -> Answer:
    findings = store.check(number)
    bad = [finding for finding in findings if finding.complaint]
    rows = [[finding.file, finding.complaint or "ok"] for finding in findings]
    summary = f"{len(bad)} of {len(findings)} are not as they must be" if bad else "all as it says"
    if store.signature(number) == "signed" and SIGNATURE not in {
        finding.file for finding in findings
    }:
        summary += "; it is signed, and DIGITSERVE_TRUSTED_KEYS is not set to check by"
    answer = {
        "version": number,
        "ok": not bad,
        "files": {finding.file: finding.complaint or "ok" for finding in findings},
    }
    return answer, f"{table(['file', 'beside the card'], rows)}\n\nversion {number}: {summary}"


def switching(store: Store, switch: Switch | None, number: int) -> Answer:
    name = store.folder.name
    if switch is None:
        answer = {"from": number, "to": number, "changed": False}
        return answer, f"{name}: {number} is already current"
    before = "none" if switch.before is None else f"{switch.before}"
    changed = {"from": switch.before, "to": switch.after, "changed": True}
    return changed, f"{name}: {before} -> {switch.after}"


def remembering(store: Store) -> Answer:
    switches = store.history()
    rows = [
        [
            f"{switch.at:%Y-%m-%d %H:%M:%S}",
            switch.action,
            "none" if switch.before is None else f"{switch.before}",
            f"{switch.after}",
        ]
        for switch in switches
    ]
    answer = [switch.model_dump(mode="json", by_alias=True) for switch in switches]
    if not rows:
        return [], f"{store.folder} has no history: nothing was made current yet"
    return answer, table(["when (UTC)", "what", "from", "to"], rows)


def pruning(store: Store, removed: list[int], *, dry: bool) -> Answer:
    left = [number for number in store.versions() if number not in removed]
    going = ", ".join(map(str, removed)) or "none"
    text = f"{'would remove' if dry else 'removed'}: {going}; left: {', '.join(map(str, left))}"
    return {"removed": removed, "left": left, "dry_run": dry}, text


def _summary(card: ModelCard, signature: str) -> tuple[dict[str, Any], list[str]]:
    """A version's line of the listing, behind its number."""
    total = sum(facts.size for facts in card.files.values())
    facts = {
        "created": card.created.isoformat(),
        "network": card.network,
        "data_set": card.data_set.name,
        "accuracy": card.evaluation.accuracy,
        "bytes": total,
        "signature": signature,
        "run": card.run,
    }
    row = [
        f"{card.created:%Y-%m-%d %H:%M}",
        card.network,
        card.data_set.name,
        percent(card.evaluation.accuracy),
        size(total),
        signature,
    ]
    return facts, row


def _remark(store: Store, number: int) -> str:
    remarks = ["current"] if number == _current(store) else []
    remarks += [store.signature(number)]
    return f" ({', '.join(filter(None, remarks))})" if any(remarks) else ""


def _current(store: Store) -> int | None:
    try:
        return store.current()
    except (NoVersion, BrokenVersion):
        return None
