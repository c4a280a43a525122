"""The Helm chart knows the settings of the service."""

import json
from itertools import chain
from typing import Any

import yaml

from tools.chart_schema import SCHEMA, up_to_date

VALUES = yaml.safe_load(SCHEMA.with_name("values.yaml").read_text())


def test_the_committed_schema_has_the_settings_of_the_service() -> None:
    """If not, run make chart-schema."""
    assert SCHEMA.read_text() == up_to_date(SCHEMA.read_text())


def test_the_schema_has_a_type_and_the_bounds_of_a_setting() -> None:
    settings = json.loads(SCHEMA.read_text())["properties"]["settings"]
    assert settings["additionalProperties"] is False
    bounds = settings["properties"]["DRAIN_SECONDS"]
    assert (bounds["type"], bounds["minimum"], bounds["maximum"]) == ("number", 0, 300)
    assert settings["properties"]["ACCESS_LOG"]["enum"] == ["off", "sampled", "all"]


def test_secrets_and_what_the_chart_decides_are_no_settings() -> None:
    known = json.loads(SCHEMA.read_text())["properties"]["settings"]["properties"]
    assert not known.keys() & {"ADMIN_TOKEN", "API_KEYS", "JOBS", "PORT", "MODELS", "HOST"}


def test_the_schema_refuses_unknown_values_everywhere() -> None:
    """Only where Kubernetes or the user chooses the names, any are accepted."""

    def objects(schema: Any) -> list[Any]:
        if isinstance(schema, list):
            return list(chain.from_iterable(map(objects, schema)))
        if not isinstance(schema, dict):
            return []
        inner = list(chain.from_iterable(map(objects, schema.values())))
        return [schema, *inner] if isinstance(schema.get("properties"), dict) else inner

    assert all(
        each["additionalProperties"] is False for each in objects(json.loads(SCHEMA.read_text()))
    )


def test_every_value_is_in_the_schema_and_every_name_of_the_schema_has_a_default() -> None:
    schema = json.loads(SCHEMA.read_text())

    def same(values: dict[str, Any], part: dict[str, Any]) -> None:
        part = schema["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part
        if "properties" in part:
            assert values.keys() == part["properties"].keys()
            for name, value in values.items():
                if isinstance(value, dict):
                    same(value, part["properties"][name])

    del schema["properties"]["settings"], schema["properties"]["global"]
    same({name: value for name, value in VALUES.items() if name != "settings"}, schema)
