"""What `python -m contract` answers: each once for programs, once as a table for people."""

from typing import Any

from contract.acceptance import accepted
from contract.card import ModelCard
from contract.errors import BrokenVersion, NoVersion, StoreError
from contract.history import Switch
from contract.store import Store
from contract.tables import microseconds, pairs, percent, size, table
from contract.version import SIGNATURE

Answer = tuple[Any, str]  # for programs, for people


def listing(store: Store) -> Answer:
    current = _current(store)
    rows: list[list[str]] = []
    answer: list[dict[str, Any]] = []
    for number in store.versions():
        mark = "*" if number == current else ""
        try:
            card = store.card(number)
        except StoreError as error:
            rows.append([f"{number}", mark, "", "", "", "", "", f"broken: {error}"])
            answer.append({"version": number, "current": number == current, "broken": str(error)})
            continue
        total = sum(facts.size for facts in card.files.values())
        facts = {
            "version": number,
            "current": number == current,
            "created": card.created.isoformat(),
            "network": card.network,
            "data_set": card.data_set.name,
            "accuracy": card.evaluation.accuracy,
            "bytes": total,
            "signature": store.signature(number),
            "run": card.run,
        }
        answer.append(facts)
        rows.append(
            [
                f"{number}",
                mark,
                f"{card.created:%Y-%m-%d %H:%M}",
                card.network,
                card.data_set.name,
                percent(card.evaluation.accuracy),
                size(total),
                store.signature(number),
            ]
        )
    if not rows:
        return [], f"{store.folder} holds no version: export one (make export)"
    head = ["version", "current", "created", "network", "data", "right", "size", ""]
    return answer, table(head, rows)


def showing(store: Store, number: int) -> Answer:
    card = store.card(number)
    text = "\n\n".join(
        [
            _facts(store, number, card),
            artifacts(card),
            _classes(card),
            _files(card),
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


def _facts(store: Store, number: int, card: ModelCard) -> str:
    data, judged = card.data_set, card.evaluation
    rows = [
        ["version", f"{store.folder / str(number)}{_remark(store, number)}"],
        ["created", f"{card.created:%Y-%m-%d %H:%M:%S %Z}"],
        ["network", f"{card.network}, {card.parameters:,} parameters"],
        ["labels", " ".join(card.labels)],
        ["data", f"{data.name} from {data.source}"],
        ["pictures", f"{data.train:,} learned, {data.validation:,} held out, {data.test:,} test"],
        ["right", percent(judged.accuracy)],
        [
            "calibration error",
            f"{percent(judged.calibration_error)}, before the temperature "
            f"{percent(judged.calibration_error_before)}",
        ],
        ["temperature", f"{card.temperature:.3f}"],
        ["accepted", accepted(card)],
        ["run", card.run],
        ["commit", card.git_commit or "unknown"],
        ["recipe", ", ".join(f"{key}={value}" for key, value in card.recipe.items())],
        ["libraries", ", ".join(f"{key} {value}" for key, value in card.libraries.items())],
        ["opset", f"{card.opset}"],
        ["measured on", card.measured_on],
    ]
    return pairs(rows)


def _remark(store: Store, number: int) -> str:
    remarks = ["current"] if number == _current(store) else []
    remarks += [store.signature(number)]
    return f" ({', '.join(filter(None, remarks))})" if any(remarks) else ""


def artifacts(card: ModelCard) -> str:
    """Every artifact beside PyTorch, and those that were left out."""
    rows = [
        [
            name,
            size(card.files[name].size) if name in card.files else "missing",
            percent(parity.accuracy),
            f"{parity.different_answers}",
            f"{parity.largest_difference:.1e}",
            f"{parity.mean_difference:.1e}",
            microseconds(parity.seconds_1),
            microseconds(parity.seconds_64),
        ]
        for name, parity in card.parity.items()
    ]
    head = ["artifact", "size", "right", "other answers", "largest", "mean", "1 a call", "64"]
    left_out = [f"{name} is left out: {reason}" for name, reason in card.left_out.items()]
    return "\n".join([table(head, rows), *left_out])


def _classes(card: ModelCard) -> str:
    rows = [
        [
            each.label,
            f"{each.precision:.4f}",
            f"{each.recall:.4f}",
            f"{each.f1:.4f}",
            f"{each.support}",
        ]
        for each in card.evaluation.per_class
    ]
    return table(["class", "precision", "recall", "f1", "pictures"], rows)


def _files(card: ModelCard) -> str:
    rows = [[name, size(facts.size), facts.sha256] for name, facts in card.files.items()]
    return table(["file", "size", "sha256"], rows)


def _current(store: Store) -> int | None:
    try:
        return store.current()
    except (NoVersion, BrokenVersion):
        return None
