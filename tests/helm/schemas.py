"""Strict schemas of Kubernetes and of the operators: an unknown kind or field is an error."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
from cloudcoil.models.keda.v1alpha1 import ScaledObject
from cloudcoil.models.prometheus_operator.v1 import PrometheusRule, ServiceMonitor
from jsonschema import Draft202012Validator, ValidationError

KUBERNETES = ("1.34", "1.35", "1.36", "1.37")
MODELS: dict[tuple[str, str], Any] = {
    ("keda.sh/v1alpha1", "ScaledObject"): ScaledObject,
    ("monitoring.coreos.com/v1", "PrometheusRule"): PrometheusRule,
    ("monitoring.coreos.com/v1", "ServiceMonitor"): ServiceMonitor,
}
HTTP_ROUTE = Path(__file__).with_name("httproute.schema.json")


class Invalid(Exception):
    """The object would not be accepted; the message says where and why."""


def check(manifest: dict[str, Any], version: str) -> None:
    """Raises Invalid."""
    kind = manifest["apiVersion"], manifest["kind"]
    try:
        if kind in MODELS:
            _model(*kind).validate(manifest)
        elif kind == ("gateway.networking.k8s.io/v1", "HTTPRoute"):
            Draft202012Validator(json.loads(HTTP_ROUTE.read_text())).validate(manifest)
        else:
            kubernetes_validate.validate(manifest, version, strict=True)
    except ValidationError as error:
        raise Invalid(f"{kind} at {error.json_path}: {error.message}") from error
    except kubernetes_validate.SchemaNotFoundError as error:
        raise Invalid(error.message) from error


@cache
def _model(version: str, kind: str) -> Draft202012Validator:
    """The schema of a model, which itself accepts unknown fields."""
    schema = MODELS[version, kind].model_json_schema()
    for definition in (schema, *schema["$defs"].values()):
        if "properties" in definition:
            definition.setdefault("additionalProperties", False)
    return Draft202012Validator(schema)
