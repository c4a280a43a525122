"""Write the settings of the service into the schema of the Helm chart: python -m tools.chart_schema

Of values.schema.json only `settings` is generated: a setting by its name, with its type and bounds.
The rest of the file is written by hand.
"""

import json
from pathlib import Path
from typing import Any

from service.settings import Settings

SCHEMA = Path(__file__).parent.parent / "deploy/helm/digitserve/values.schema.json"
# Set by other values of the chart, because volumes, ports or Secrets depend on them.
SET_BY_THE_CHART = {
    "ADMIN_TOKEN", "API_KEYS", "FEEDBACK", "HOST", "JOBS", "MODEL", "MODELS", "MODELS_CACHE",
    "PEERS", "PORT", "REPLICA", "TRUSTED_KEYS", "UDS",
}  # fmt: skip
BOUNDS = ("enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "description")


def main() -> None:
    SCHEMA.write_text(up_to_date(SCHEMA.read_text()))
    print(SCHEMA)


def up_to_date(text: str) -> str:
    """The text of the schema with the settings that the service has now."""
    schema = json.loads(text)
    schema["properties"]["settings"]["properties"] = {
        name.upper(): _values(field)
        for name, field in sorted(Settings.model_json_schema()["properties"].items())
        if name.upper() not in SET_BY_THE_CHART
    }
    return json.dumps(schema, indent=2) + "\n"


def _values(field: dict[str, Any]) -> dict[str, Any]:
    """Numbers have bounds; lists and paths are the text of an environment variable."""
    field = {**field, **field.get("anyOf", [{}])[0]}  # the other one is null
    kind = field["type"] if field["type"] in ("integer", "number") else "string"
    return {"type": kind} | {key: field[key] for key in BOUNDS if key in field}


if __name__ == "__main__":
    main()
