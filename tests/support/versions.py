"""Separate stores with versions to switch between."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

from contract import signature
from contract.card import FP16, GOLDEN, INT8, LOGITS, ONNX, SCHEMA, Check, Gate
from contract.store import Store
from contract.version import Version

LETTERS = tuple("abcdefghij")


def two_versions(published: tuple[Store, Version], models: Path) -> Store:
    """A separate store: 1 is current, 2 has letters as labels instead of digits."""
    shutil.copytree(published[0].folder, models / "digits")
    store = Store(models, "digits")
    publish(store, published[1], labels=LETTERS)
    return store


def publish(
    store: Store,
    version: Version,
    change: Callable[[Path], object] = lambda _: None,
    sign: signature.Sign | None = None,
    **card: object,
) -> int:
    """Publish a copy of `version` with files changed by `change` and card fields from `card`."""
    with store.draft() as draft:
        for name in version.card.files:
            shutil.copy(version.folder / name, draft)
        change(draft)
        return store.publish(draft, version.card.model_copy(update=card), sign).number


def give_a_newer_schema(store: Store, number: int) -> None:
    """Make it a version that a newer release of this project published."""
    card = store.folder / f"{number}/card.json"
    newer = f'"schema_version": {SCHEMA + 1}'
    card.write_text(re.sub(r'"schema_version": \d+', newer, card.read_text()))


def gate(verdict: str) -> Gate:
    """The comparison with version 1; if the verdict is "worse", the accuracy fell."""
    check = Check(name="accuracy", passed=verdict != "worse", candidate=0.9, current=0.95,
                  reason="It fell from 95% to 90%.")  # fmt: skip
    facts = {"parent": 1, "verdict": verdict, "images": 100, "gained": 2, "lost": 1}
    return Gate.model_validate(facts | {"p_value": 1.0, "checks": (check,)})


def warmer(factor: float) -> Callable[[Path], None]:
    """For `publish`: less confident predictions: the temperature is `factor` times higher."""

    def change(draft: Path) -> None:
        graph = onnx.load(draft / ONNX)
        (last,) = (node for node in graph.graph.node if LOGITS in node.output)
        last.output[:] = ["cooler"]
        divisor = onnx.helper.make_tensor("divisor", onnx.TensorProto.FLOAT, [], [factor])
        graph.graph.initializer.append(divisor)
        division = onnx.helper.make_node("Div", ["cooler", "divisor"], [LOGITS])
        graph.graph.node.insert(list(graph.graph.node).index(last) + 1, division)
        onnx.save(graph, draft / ONNX)
        with np.load(draft / GOLDEN, allow_pickle=False) as golden:
            pixels, logits = golden["pixels"], golden["logits"]
        np.savez_compressed(draft / GOLDEN, pixels=pixels, logits=logits / np.float32(factor))
        for other in (FP16, INT8):
            (draft / other).unlink(missing_ok=True)

    return change
