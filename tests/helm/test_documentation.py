"""The examples of docs/how-to/kubernetes.md work."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.helm.chart import CHART, ROOT, helm
from tests.helm.schemas import KUBERNETES, check

PAGE = (ROOT / "docs/how-to/kubernetes.md").read_text()
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
VALUES = [block for block in BLOCKS if "kind: InferenceService" not in block]


@pytest.mark.parametrize("values", VALUES)
def test_values_of_the_page_render_to_valid_objects(values: str, tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(values)
    text = helm("template", "digits", CHART, "--namespace", "ml", "--values", path)
    for manifest in filter(None, yaml.safe_load_all(text)):
        check(manifest, KUBERNETES[-1])


def test_the_container_for_kserve_is_valid_in_a_pod() -> None:
    (block,) = set(BLOCKS) - set(VALUES)
    predictor = yaml.safe_load(block)["spec"]["predictor"]
    del predictor["minReplicas"]  # the rest is a pod's
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "digits"}, "spec": predictor}
    check(pod, KUBERNETES[-1])


def test_the_page_names_the_versions_that_are_checked() -> None:
    assert f"Kubernetes {KUBERNETES[0]} to {KUBERNETES[-1]}" in PAGE


def test_the_chart_runs_the_images_of_the_version_of_the_project() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["appVersion"] == chart["version"] == project["version"]
