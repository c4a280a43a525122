"""The page of the model card: the fields of each of its objects, from its JSON Schema."""

import inspect
import json
import re
from typing import Any

from contract import card
from contract.card import ModelCard
from tools.site.markdown import code, page, prose, sentence, table

Schema = dict[str, Any]


def model_card() -> str:
    schema = ModelCard.model_json_schema()
    objects = {"ModelCard": schema, **schema["$defs"]}
    return page(
        "The model card",
        "A version's `card.json` says what the version is, how it was made and how it was proven. "
        "The service refuses a card with a missing, unknown or ill-typed field, and names the "
        "field. `python -m contract show VERSION` prints a card, `python -m contract schema` the "
        "JSON Schema below.",
        *(part for name, fields in objects.items() for part in _object(name, fields)),
        "## JSON Schema",
        '??? note "The whole schema"\n\n    ```json\n'
        + "".join(f"    {line}\n" for line in json.dumps(schema, indent=2).splitlines())
        + "    ```",
    )


def _object(name: str, schema: Schema) -> list[str]:
    if "properties" not in schema:
        return []
    meanings = _comments(name)
    rows = [
        (code(field), _type(of), sentence(meanings[field]) if field in meanings else "")
        for field, of in schema["properties"].items()
    ]
    return [
        f"## {name}",
        prose(schema.get("description", "")),
        table(["field", "type", "meaning"], rows),
    ]


def _comments(name: str) -> dict[str, str]:
    """The comment beside each field in the source."""
    source = inspect.getsource(getattr(card, name))
    found = re.findall(r"^    (\w+): .*?  # (.*)$", source, re.MULTILINE)
    return {field: re.sub(r"\bNone:", "`null`:", text) for field, text in found}


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(_type(each) for each in schema[key])
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return ", ".join(code(json.dumps(each)) for each in values)
    if schema.get("type") == "array":
        items = schema.get("items")
        return f"list of {_type(items)}" if items else "list"
    if schema.get("type") == "object":
        values = schema.get("additionalProperties")
        return f"object of {_type(values)}" if isinstance(values, dict) else "object"
    return str(schema.get("format", schema.get("type", "any")))
