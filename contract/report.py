"""Results of `python -m contract`: JSON for programs, and text with aligned columns for people.

`accepted` and `artifacts` are also what `python -m export` prints.
"""

import re
import textwrap
from collections.abc import Sequence
from typing import Any

from contract import activation
from contract.card import ClassReport, DataFacts, Gate, ModelCard
from contract.current import Switch
from contract.errors import BrokenVersion, NoVersion, StoreError, WorseVersion
from contract.store import Store
from contract.version import SIGNATURE

Report = tuple[Any, str]  # JSON value, text

_NUMBER = re.compile(r"[-+]?[\d.,]+(e[-+]\d+)?(%| us| k?B| MB| GB| points)?")
_WIDTH = 100  # characters of a line that is wrapped
_MOST_LABELS = 100  # that are shown; JSON holds all


def listing(store: Store) -> Report:
    """All versions, oldest first. A broken version is listed with the reason."""
    current = _current(store)
    rows, versions = [], []
    for number in store.versions():
        version: dict[str, Any] = {"version": number, "current": number == current}
        try:
            card, signature = store.card(number), store.signature(number)
            size = sum(facts.size for facts in card.files.values())
            version |= {
                "created": card.created.isoformat(),
                "network": card.network,
                "data_set": card.data_set and card.data_set.name,
                "accuracy": _accuracy(card),
                "verdict": card.gate and card.gate.verdict,
                "bytes": size,
                "signature": signature,
                "run": card.run,
            }
            data = card.data_set.name if card.data_set else "imported"
            row = [f"{card.created:%Y-%m-%d %H:%M}", card.network, data]
            row += [_percent(_accuracy(card)), _verdict(card.gate), _size(size), signature]
        except StoreError as error:
            version["broken"] = str(error)
            row = ["", "", "", "", "", "", f"broken: {error}"]
        versions.append(version)
        rows.append([f"{number}", "*" if number == current else "", *row])
    if not rows:
        return [], f"{store.place} holds no version: {store.others()}"
    head = ["version", "current", "created", "network", "data", "accuracy", "judged", "size", ""]
    return versions, _table(head, rows)


def showing(store: Store, number: int) -> Report:
    card, signature = store.card(number), store.signature(number)
    is_current = number == _current(store)
    remarks = ", ".join(filter(None, ["current" if is_current else "", signature]))
    where = f"{store.place}/{number}{f' ({remarks})' if remarks else ''}"
    files = [[name, _size(facts.size), facts.sha256] for name, facts in card.files.items()]
    classes = [
        [row.label, f"{row.precision:.4f}", f"{row.recall:.4f}", f"{row.f1:.4f}", f"{row.support}"]
        for row in _per_class(card)
    ]
    parts = [
        _facts(card, where),
        artifacts(card),
        *([gate(card.gate)] if card.gate else []),
        *([_table(["class", "precision", "recall", "f1", "images"], classes)] if classes else []),
        _table(["file", "size", "sha256"], files),
    ]
    shown = {
        "version": number,
        "current": is_current,
        "signature": signature,
        "card": card.model_dump(mode="json"),
    }
    return shown, "\n\n".join(parts)


def verifying(store: Store, number: int) -> Report:
    files = {name: complaint or "ok" for name, complaint in store.check(number).items()}
    bad = sum(state != "ok" for state in files.values())
    summary = f"{bad} of {len(files)} files are wrong" if bad else "all files match the card"
    if store.signature(number) == "signed" and SIGNATURE not in files:
        summary += "; its signature was not checked: DIGITSERVE_TRUSTED_KEYS is not set"
    table = _table(["file", "state"], [*files.items()])
    return (
        {"version": number, "ok": not bad, "files": files},
        f"{table}\n\nversion {number}: {summary}",
    )


def activating(store: Store, number: int, force: bool) -> Report:
    try:
        switch, warnings = activation.activate(store, number, force=force)
    except WorseVersion as error:
        raise WorseVersion(f"{error} Use --force to activate it all the same") from error
    if switch is None:
        unchanged = {"from": number, "to": number, "changed": False, "warnings": []}
        return unchanged, f"{store.folder.name}: {number} is already current"
    changed, text = _switched(store, switch)
    lines = [*(f"Warning: {warning}" for warning in warnings), text]
    return changed | {"warnings": warnings}, "\n".join(lines)


def rolling_back(store: Store) -> Report:
    return _switched(store, store.rollback())


def _switched(store: Store, switch: Switch) -> Report:
    changed = {"from": switch.before, "to": switch.after, "changed": True}
    return changed, f"{store.folder.name}: {switch.before or 'none'} -> {switch.after}"


def history(store: Store) -> Report:
    switches = store.history()
    rows = [
        [f"{each.at:%Y-%m-%d %H:%M:%S}", each.action, f"{each.before or 'none'}", f"{each.after}"]
        for each in switches
    ]
    if not rows:
        return [], f"{store.place} has no history: no version was made current yet"
    entries = [switch.model_dump(mode="json", by_alias=True) for switch in switches]
    return entries, _table(["when (UTC)", "action", "from", "to"], rows)


def pruning(store: Store, keep: int, dry: bool) -> Report:
    removed = store.prune(keep, dry=dry)
    left = [number for number in store.versions() if number not in removed]
    going, staying = (", ".join(map(str, numbers)) or "none" for numbers in (removed, left))
    text = f"{'would remove' if dry else 'removed'}: {going}; left: {staying}"
    return {"removed": removed, "left": left, "dry_run": dry}, text


def comparing(store: Store, first: int, second: int) -> Report:
    """Accuracy, calibration and recalls of two versions, and every other field that differs."""
    a, b = store.card(first), store.card(second)
    measures = {
        name: [getattr(each.evaluation, name, None) for each in (a, b)]
        for name in ("accuracy", "calibration_error")
    }
    before, after = ({row.label: row.recall for row in _per_class(card)} for card in (a, b))
    recalls = {
        f"recall of {label}": [before[label], recall]
        for label, recall in after.items()
        if before.get(label, recall) != recall
    }
    rows = [
        [name.replace("_", " "), _percent(x), _percent(y), _points(x, y)]
        for name, (x, y) in (measures | recalls).items()
    ]
    flat_a, flat_b = _flat(_by_name(a)), _flat(_by_name(b))
    differing = {
        key: [flat_a.get(key), flat_b.get(key)]
        for key in flat_a | flat_b
        if flat_a.get(key) != flat_b.get(key)
    }
    rows += [
        [key, _cell(x), _cell(y), ""]
        for key, (x, y) in differing.items()
        if not key.startswith("evaluation.")  # in the rows above
    ]
    text = _table(["", f"version {first}", f"version {second}", "difference"], rows)
    return {"versions": [first, second], **measures, "differing": differing}, text


def _points(before: float | None, after: float | None) -> str:
    return "" if before is None or after is None else f"{(after - before) * 100:+.2f} points"


def _by_name(card: ModelCard) -> dict[str, Any]:
    """The card with lists that are compared item by item as mappings."""
    facts = card.model_dump(mode="json", exclude={"input", "outputs"})
    facts["labels"] = ", ".join(facts["labels"])
    if facts["gate"]:
        facts["gate"]["checks"] = {each["name"]: each for each in facts["gate"]["checks"]}
    facts["files"] = {
        name: f"{each['size']} bytes, {each['sha256'][:12]}"
        for name, each in facts["files"].items()
    }
    if facts["evaluation"]:
        classes = facts["evaluation"]["per_class"]
        facts["evaluation"]["per_class"] = {each["label"]: each for each in classes}
    return facts


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Nested mappings as one mapping with dotted names."""
    if not isinstance(value, dict):
        return {name: value}
    inner = [_flat(each, f"{name}.{key}" if name else key) for key, each in value.items()]
    return {key: each for part in inner for key, each in part.items()}


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else str(value)


def _current(store: Store) -> int | None:
    try:
        return store.current()
    except (NoVersion, BrokenVersion):
        return None


# ---- parts of a card -------------------------------------------------------------------------


def _facts(card: ModelCard, where: str) -> str:
    """All fields but those that have tables; `where` is the version's folder, with any remarks."""
    facts = {
        "version": where,
        "created": f"{card.created:%Y-%m-%d %H:%M:%S %Z}",
        "network": f"{card.network}, {card.parameters:,} parameters",
        "labels": _labels(card),
        "input": f"{' x '.join(map(str, card.shape))}, prepared as {_preparation(card)}",
        **_origin(card),
        "temperature": f"{card.temperature:.3f}",
        "acceptance": accepted(card),
        **({"non-digits": non_digits(card)} if card.are_digits else {}),
        "commit": card.git_commit or "unknown",
        "recipe": ", ".join(f"{key}={value}" for key, value in card.recipe.items()),
        "libraries": ", ".join(f"{key} {value}" for key, value in card.libraries.items()),
        "opset": f"{card.opset}",
        "measured on": card.measured_on,
    }
    left = max(map(len, facts)) + 2
    wrapper = textwrap.TextWrapper(_WIDTH, subsequent_indent=" " * left, break_long_words=False)
    lines = []
    for name, text in facts.items():
        wrapper.initial_indent = name.ljust(left)
        lines.append(wrapper.fill(text) or name)
    return "\n".join(lines)


def _labels(card: ModelCard) -> str:
    rest = len(card.labels) - _MOST_LABELS
    return ", ".join(card.labels[:_MOST_LABELS]) + (f" and {rest:,} more" if rest > 0 else "")


def _preparation(card: ModelCard) -> str:
    """photo, resize=256, interpolation=bilinear"""
    facts = card.preparation.model_dump(exclude={"kind", "size"})
    return ", ".join([card.preparation.kind, *(f"{key}={value}" for key, value in facts.items())])


def _origin(card: ModelCard) -> dict[str, str]:
    """Of which run and data it is, or what it was imported from; and how well it predicts."""
    facts: dict[str, str] = {"run": card.run} if card.run else {}
    if imported := card.imported:
        facts["imported"] = f"from {imported.file} ({imported.format}, {imported.sha256[:12]})"
        facts["proven"] = " ".join(imported.proven)
        facts["unknown"] = " ".join(imported.unknown) or "nothing"
    if data := card.data_set:
        facts["data"] = f"{data.name} from {data.source}"
        facts["images"] = (
            f"{data.train:,} training{_also(data)}, {data.validation:,} validation, "
            f"{data.test:,} test"
        )
    if evaluation := card.evaluation:
        facts["accuracy"] = _percent(evaluation.accuracy)
        facts["calibration error"] = (
            f"{_percent(evaluation.calibration_error)}, before the temperature "
            f"{_percent(evaluation.calibration_error_before)}"
        )
    return facts


def _also(data: DataFacts) -> str:
    if not data.also and not data.held_out:
        return ""
    return f" ({data.also:,} of them of --also, where {data.held_out:,} more are held out)"


def _accuracy(card: ModelCard) -> float | None:
    return card.evaluation.accuracy if card.evaluation else None


def _verdict(found: Gate | None) -> str:
    """better than 3"""
    if found is None:
        return ""
    relation = "equal to" if found.verdict == "equal" else f"{found.verdict} than"
    return f"{relation} {found.parent}"


def _per_class(card: ModelCard) -> tuple[ClassReport, ...]:
    return card.evaluation.per_class if card.evaluation else ()


def artifacts(card: ModelCard) -> str:
    """Every artifact compared with PyTorch, and those that were left out."""
    rows = [
        [
            name,
            _size(card.files[name].size) if name in card.files else "missing",
            _percent(parity.accuracy),
            f"{parity.different_answers}",
            f"{parity.largest_difference:.1e}",
            f"{parity.mean_difference:.1e}",
            f"{parity.seconds_1 * 1e6:,.0f} us",
            f"{parity.seconds_64 * 1e6:,.0f} us",
        ]
        for name, parity in card.parity.items()
    ]
    head = ["artifact", "size", "accuracy", "other predictions", "largest difference",
            "mean difference", "batch 1", "batch 64"]  # fmt: skip
    left_out = [f"{name} is left out: {reason}" for name, reason in card.left_out.items()]
    return "\n".join([_table(head, rows), *left_out])


def gate(found: Gate) -> str:
    """The verdict, and every check."""
    rows = [
        [each.name, "passed" if each.passed else "failed", each.reason] for each in found.checks
    ]
    changes = f"{found.gained} images gained, {found.lost} lost of {found.images:,}"
    return f"Judged {_verdict(found)}: {changes}\n{_table(['check', 'result', 'measured'], rows)}"


def non_digits(card: ModelCard) -> str:
    """How many images that are no digit are accepted, and how many digits are refused."""
    found = card.non_digits
    if found is None:
        return "Not recognised: the model was not trained on images that are no digit"
    return (
        f"Recognised below a confidence of {found.threshold:.4f}: of {found.test:,} test images "
        f"that are no digit {_percent(found.test_accepted)} are accepted, and of the test digits "
        f"{_percent(found.test_refused)} refused"
    )


def accepted(card: ModelCard) -> str:
    """Which predictions are accepted, and how accurate these are."""
    found, data = card.acceptance, card.data_set
    if found is None or data is None:
        if card.imported:
            return (
                "No threshold: an imported model has none, and no prediction is marked as uncertain"
            )
        if card.schema_version == 2:
            return "No threshold: cards of schema version 2 have none"
        return (
            "No threshold: the run has too few validation images to find one, and no prediction is "
            "marked as uncertain"
        )
    shares = [
        f"{_percent(share)} of {images:,} {name} images"
        + ("" if accuracy is None else f" with an accuracy of {_percent(accuracy)}")
        for name, images, share, accuracy in (
            ("validation", data.validation, found.validation_accepted, found.validation_accuracy),
            ("test", data.test, found.test_accepted, found.test_accuracy),
        )
    ]
    return f"Accepted from a confidence of {found.threshold:.4f}: {'; '.join(shares)}"


# ---- text ------------------------------------------------------------------------------------


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows under a head, each column as wide as its longest cell; numbers to the right."""
    columns = []
    for title, *cells in zip(head, *rows, strict=True):
        align = str.rjust if all(map(_NUMBER.fullmatch, cells)) else str.ljust
        width = max(map(len, [title, *cells]))
        columns.append([align(cell, width) for cell in (title, *cells)])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))


def _percent(fraction: float | None) -> str:
    return "unknown" if fraction is None else f"{fraction:.2%}"


def _size(count: int) -> str:
    """Bytes, in the unit that suits them: 146 kB."""
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= step:
            return f"{count / step:.3g} {unit}"
    return f"{count} B"
