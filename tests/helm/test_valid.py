"""Every value set of ci/ renders to objects that four versions of Kubernetes accept."""

import tarfile
from copy import deepcopy
from pathlib import Path

import pytest

from tests.helm.chart import CHART, VALUE_SETS, Manifest, helm, render
from tests.helm.schemas import KUBERNETES, Invalid, check

EVERYTHING = [
    *render("everything"),
    *(each for each in render("claim-hpa") if each["kind"] == "HorizontalPodAutoscaler"),
]
KINDS = {each["kind"]: each for each in EVERYTHING}


@pytest.mark.parametrize("values", VALUE_SETS)
def test_a_value_set_passes_the_strict_lint(values: str) -> None:
    path = CHART / f"ci/{values}-values.yaml"
    assert "0 chart(s) failed" in helm("lint", "--strict", CHART, "--values", path)


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("values", VALUE_SETS)
def test_a_value_set_is_valid(values: str, version: str) -> None:
    for manifest in render(values):
        check(manifest, version)


def test_the_value_sets_render_every_kind_of_the_chart() -> None:
    rendered = {each["kind"] for values in VALUE_SETS for each in render(values)}
    assert rendered == set(KINDS)
    assert len(KINDS) == 14


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_field_is_found(kind: str) -> None:
    manifest = deepcopy(KINDS[kind])
    part = manifest.get("spec", manifest)
    part["replicsa"] = 3
    with pytest.raises(Invalid, match="replicsa"):
        check(manifest, "1.37")


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "ScaledObject", "HTTPRoute"])
def test_a_wrong_type_is_found(kind: str) -> None:
    manifest = deepcopy(KINDS[kind])
    wrong: dict[str, Manifest] = {
        "ScaledObject": {"minReplicaCount": "two"},
        "HTTPRoute": {"hostnames": "flowers.example.com"},
    }
    manifest["spec"].update(wrong.get(kind, {"replicas": "3"}))
    with pytest.raises(Invalid):
        check(manifest, "1.37")


def test_an_unknown_kind_is_found() -> None:
    with pytest.raises(Invalid, match="Replicas"):
        check({"apiVersion": "apps/v1", "kind": "Replicas", "metadata": {}}, "1.37")


def test_names_are_short_enough_for_every_object() -> None:
    long = "x" * 60
    for manifest in render("everything", f'fullnameOverride="{long}"'):
        assert len(manifest["metadata"]["name"]) <= 63


def test_a_package_holds_the_files_that_the_chart_links_to(tmp_path: Path) -> None:
    helm("package", CHART, "--destination", tmp_path)
    (package,) = tmp_path.iterdir()
    with tarfile.open(package) as archive:
        for name in ("files/alerts.yml", "files/recording.yml", "files/dashboards/service.json"):
            packed = archive.extractfile(f"digitserve/{name}")
            assert packed
            assert packed.read() == (CHART / name).read_bytes()
        assert not [name for name in archive.getnames() if "/ci/" in name]
