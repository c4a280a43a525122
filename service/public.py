"""What anybody may be told of a version: nothing of the folders of the machine that made it.

Cards, and the metrics of a training, say from where the data and weights were read. The last part
of such a path is a name that people know it by; what stands before is nobody's business.
"""

from pathlib import Path
from typing import Any

import orjson

from contract.card import ModelCard


def public_card(card: ModelCard) -> ModelCard:
    source = _without_folders(card.data_set.source)
    recipe = {knob: _without_folders(value) for knob, value in card.recipe.items()}
    data_set = card.data_set.model_copy(update={"source": source})
    return card.model_copy(update={"data_set": data_set, "recipe": recipe})


def public_document(content: bytes) -> bytes:
    """The same of any JSON file of a version; byte for byte the file where that changes nothing."""
    document = orjson.loads(content)
    if not isinstance(document, dict):
        return content
    told = document | {
        part: {name: _without_folders(value) for name, value in document[part].items()}
        for part in ("data_set", "recipe")
        if isinstance(document.get(part), dict)
    }
    return content if told == document else orjson.dumps(told)


def _without_folders(value: Any) -> Any:
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
