"""The OpenAPI document describes the requests and responses of every route."""

from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis

from contract.store import Store
from contract.version import Version
from preprocessing.decoder import identify
from service.problem_types import TYPES
from tests.support import fetch
from tests.support.running import Service

Document = dict[str, Any]
DECISIONS = ("", "/accept", "/reject")  # about a correction


@pytest.fixture(scope="module")
def document(service: Service) -> Document:
    answer: Document = fetch.get(f"{service.url}/openapi.json").json()
    return answer


@pytest.fixture(scope="module")
def guarded(published: tuple[Store, Version]) -> Iterator[Document]:
    """The document of a service that requires API keys."""
    with Service.started(published[0].folder.parent, api_keys="a-key-for-the-document") as service:
        yield fetch.get(f"{service.url}/openapi.json").json()


def operations(document: Document) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            yield path, operation


def resolved(document: Document, example: dict[str, str]) -> dict[str, Any]:
    """The value of an example, which may be a reference."""
    name = example["$ref"].removeprefix("#/components/examples/")
    value: dict[str, Any] = document["components"]["examples"][name]["value"]
    return value


def parameters(document: Document, path: str) -> dict[str, dict[str, Any]]:
    (operation,) = document["paths"][path].values()
    return {each["name"]: each["schema"] for each in operation["parameters"]}


def test_the_document_includes_the_fast_routes(document: Document) -> None:
    assert set(document["paths"]) == {
        "/v1/predict", "/v2/models/{model}/infer", "/livez", "/readyz", "/v1/status", "/metrics",
        "/v1/models/{name}/versions/{version}/activate", "/v1/models/{name}/rollback",
        "/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/stats",
        *(
            f"/v2/models/{{model}}{version}{what}"
            for version in ("", "/versions/{version}")
            for what in ("", "/ready", "/config", "/stats", "/infer")
        ),
        "/v2/repository/index", "/v2/repository/models/{model}/load",
        "/v2/repository/models/{model}/unload",
        "/v1/models", "/v1/models/{name}", "/v1/models/{name}/versions/{version}",
        "/v1/models/{name}/versions/{version}/files/{file}",
        "/v1/models/{name}/versions/{version}/predict",
        "/v1/samples/random", "/v1/live", "/v1/live/snapshot",
        *(
            f"/v1/retrain{what}"
            for what in (
                "", "/{id}", "/{id}/events", "/{id}/comparison", "/{id}/cancel", "/{id}/resume",
                "/{id}/approve", "/{id}/reject",
            )
        ),
        "/v1/runs", "/v1/runs/{id}",
        *(f"/v1/feedback{rest}" for rest in ("", *("/{sha256}" + do for do in DECISIONS))),
    }  # fmt: skip
    predict = document["paths"]["/v1/predict"]["post"]
    assert "image/png" in predict["requestBody"]["content"]
    assert set(predict["responses"]) >= {"200", "400", "413", "415", "422", "503", "504"}
    assert "application/problem+json" in predict["responses"]["422"]["content"]
    infer = document["paths"]["/v2/models/{model}/infer"]["post"]
    (error,) = infer["responses"]["503"]["content"].values()
    assert error["schema"]["$ref"].endswith("/InferError")
    assert "422" not in infer["responses"]  # which FastAPI would declare by default


def test_the_document_is_valid_openapi(document: Document) -> None:
    schemathesis.openapi.from_dict(document).validate()


def test_every_error_has_the_format_of_its_path_and_an_example(document: Document) -> None:
    for path, operation in operations(document):
        assert {"400", "408", "431", "500", "503"} <= set(operation["responses"]), path
        for status, answer in operation["responses"].items():
            assert "X-Request-ID" in answer["headers"]
            if status >= "400":
                ((kind, content),) = answer["content"].items()
                ours = kind == "application/problem+json"
                assert ours != path.startswith("/v2"), path
                examples = [resolved(document, each) for each in content["examples"].values()]
                assert examples
                for example in examples:
                    assert next(iter(example)) == ("type" if ours else "error")
                    assert not ours or example["status"] == int(status)


def test_problem_types_are_listed_and_every_route_says_which_it_uses(
    document: Document,
) -> None:
    schema = document["components"]["schemas"]["ProblemDetails"]
    assert schema["properties"]["type"]["enum"] == sorted(kind.uri for kind in TYPES.values())
    assert "type" in schema["required"]

    def codes(path: str, status: str) -> set[str]:
        (operation,) = document["paths"][path].values()
        (content,) = operation["responses"][status]["content"].values()
        return {*content["examples"]}

    assert codes("/v1/predict", "422") == {"blank-picture", "not-a-picture"}
    assert codes("/v1/live", "403") == {"live-closed"}
    assert codes("/v1/samples/random", "404") == {"no-samples", "no-such-sample"}
    assert "batch-too-large" in codes("/v2/models/{model}/infer", "400")


def test_optional_fields_are_not_nullable_and_bounds_are_documented(document: Document) -> None:
    predict = parameters(document, "/v1/predict")
    assert (predict["top_k"]["minimum"], predict["top_k"]["maximum"]) == (1, 1000)
    assert (predict["threshold"]["minimum"], predict["threshold"]["maximum"]) == (0, 1)
    assert predict["ink"]["enum"] == ["auto", "on", "off"]
    infer = parameters(document, "/v2/models/{model}/infer")
    assert infer["x-request-timeout"] == predict["x-request-timeout"]
    assert infer["x-request-timeout"]["minimum"] == 0.001
    assert infer["content-encoding"]["enum"] == ["gzip", "deflate", "identity"]
    assert infer["model"]["enum"] == ["digits"]
    for schema in (*predict.values(), *infer.values()):
        assert "null" not in str(schema)


def test_every_way_to_send_an_image_is_documented_with_a_valid_example(document: Document) -> None:
    content = document["paths"]["/v1/predict"]["post"]["requestBody"]["content"]
    assert {*content} == {
        "image/png", "image/jpeg", "image/webp", "image/bmp", "image/gif", "image/tiff",
        "image/*", "application/octet-stream", "application/x-www-form-urlencoded",
        "multipart/form-data", "application/json",
    }  # fmt: skip
    example = content["application/json"]["examples"]["one"]["value"]["image"]
    assert identify(b64decode(example), max_pixels=784).raster().shape == (28, 28)


def test_tensors_may_be_json_or_binary_in_both_directions(document: Document) -> None:
    for path in ("/v2/models/{model}/infer", "/v2/models/{model}/versions/{version}/infer"):
        infer = document["paths"][path]["post"]
        forms = {"application/json", "application/octet-stream"}
        assert (
            {*infer["requestBody"]["content"]} == {*infer["responses"]["200"]["content"]} == forms
        )


def test_without_keys_no_route_requires_one(document: Document) -> None:
    for path, operation in operations(document):
        admin = path.startswith(("/v1/retrain", "/v1/runs")) or path.endswith(
            ("/activate", "/rollback", "/load", "/unload", "{version}/predict")
        )
        if path.startswith("/v1/feedback"):
            admin = operation["operationId"] != "correct"
        assert ("security" in operation) == ("401" in operation["responses"]) == admin, path


def test_the_token_for_other_versions_is_optional(document: Document, guarded: Document) -> None:
    path = "/v1/models/{name}/versions/{version}/predict"
    predict, as_ever = (document["paths"][each]["post"] for each in (path, "/v1/predict"))
    assert predict["security"] == [{}, {"AdminToken": []}]
    assert predict["requestBody"] == as_ever["requestBody"]
    assert {*predict["responses"]} == {*as_ever["responses"], "401", "403", "404", "409"}
    schemes = guarded["paths"][path]["post"]["security"]
    assert schemes == [{"ApiKey": []}, {"ApiKeyAsBearer": []}, {"AdminToken": []}]


def test_with_keys_all_routes_but_probes_and_metrics_require_one(guarded: Document) -> None:
    open_ = {path for path, operation in operations(guarded) if "security" not in operation}
    assert open_ == {
        "/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready",
        "/v2/models/{model}/ready", "/v2/models/{model}/versions/{version}/ready",
    }  # fmt: skip
    schemes = guarded["components"]["securitySchemes"]
    assert schemes["ApiKey"] == {"type": "apiKey", "in": "header", "name": "X-API-Key"}
