"""Results of `python -m contract`: each as JSON for programs and as a table for people."""

from typing import Any

from contract import tables
from contract.card import ModelCard
from contract.current import Switch
from contract.errors import BrokenVersion, NoVersion, StoreError
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
            tables.card_facts(card, f"{store.folder / str(number)}{_remark(store, number)}"),
            tables.card_artifacts(card),
            tables.card_classes(card),
            tables.card_files(card),
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


def switching(store: Store, switch: Switch | None, number: int | None = None) -> Answer:
    """`switch` is None where version `number` is current already."""
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


def comparing(store: Store, first: int, second: int) -> Answer:
    a, b = store.card(first), store.card(second)
    accuracy = {
        "accuracy": [a.evaluation.accuracy, b.evaluation.accuracy],
        "calibration_error": [a.evaluation.calibration_error, b.evaluation.calibration_error],
    }
    flat_a, flat_b = _flat(a), _flat(b)
    differing = {
        key: [flat_a.get(key), flat_b.get(key)]
        for key in [*flat_a, *(key for key in flat_b if key not in flat_a)]
        if flat_a.get(key) != flat_b.get(key)
    }
    rows = [
        [name.replace("_", " "), percent(x), percent(y), f"{(y - x) * 100:+.2f} points"]
        for name, (x, y) in accuracy.items()
    ]
    rows += _recalls(a, b)
    rows += [
        [key, _cell(x), _cell(y), ""]
        for key, (x, y) in differing.items()
        if not key.startswith("evaluation.")  # in the rows above
    ]
    answer = {"versions": [first, second], **accuracy, "differing": differing}
    return answer, table(["", f"version {first}", f"version {second}", "difference"], rows)


def _recalls(a: ModelCard, b: ModelCard) -> list[list[str]]:
    """Of each class that both versions know and one reads better."""
    before = {each.label: each.recall for each in a.evaluation.per_class}
    return [
        [
            f"recall of {each.label}",
            percent(before[each.label]),
            percent(each.recall),
            f"{(each.recall - before[each.label]) * 100:+.2f} points",
        ]
        for each in b.evaluation.per_class
        if each.label in before and before[each.label] != each.recall
    ]


def _flat(card: ModelCard) -> dict[str, Any]:
    """The card's facts by dotted name."""
    facts = card.model_dump(mode="json", exclude={"input", "outputs"})
    facts["labels"] = " ".join(facts["labels"])
    facts["files"] = {
        name: f"{each['size']} bytes, {each['sha256'][:12]}"
        for name, each in facts["files"].items()
    }
    classes = facts["evaluation"]["per_class"]
    facts["evaluation"]["per_class"] = {each["label"]: each for each in classes}
    flat: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{prefix}{key}.", inner)
        else:
            flat[prefix[:-1]] = value

    walk("", facts)
    return flat


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else str(value)
