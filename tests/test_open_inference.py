"""docs/reference/open-inference.md: every example runs, its routes and settings exist."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.store import Store
from contract.version import Version
from service.api.v2.metadata import EXTENSIONS
from service.settings import Settings
from tests.support import fetch
from tests.support.running import TOKEN, Service

DOCUMENT = (Path(__file__).parent.parent / "docs/reference/open-inference.md").read_text()
EXAMPLES = re.findall(r"```(python|sh)\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.fixture(scope="module")
def service(
    published: tuple[Store, Version], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    models = tmp_path_factory.mktemp("documented")
    shutil.copytree(published[0].folder, models / "digits")
    with Service.started(models, admin_token=TOKEN) as service:
        yield service


@pytest.mark.parametrize(("language", "text"), EXAMPLES)
def test_an_example_works_as_documented(
    service: Service, language: str, text: str, tmp_path: Path
) -> None:
    text = text.replace("127.0.0.1:8000", service.url.removeprefix("http://"))
    if language == "sh":
        words = ["bash", "-euo", "pipefail", "-c", text.replace("curl -sS", "curl -sS --fail")]
    else:
        words = [sys.executable, "-c", text]
    done = subprocess.run(
        words,
        cwd=tmp_path,
        env={**os.environ, "DIGITSERVE_ADMIN_TOKEN": TOKEN},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    if "class_count" in text:
        assert re.match(r"\[\d \d\]\n(.|\n)*:\d:\d", done.stdout), done.stdout


def test_every_documented_route_and_setting_exists(service: Service) -> None:
    there = set(fetch.get(f"{service.url}/openapi.json").json()["paths"])
    reported = set(re.findall(r"`(?:GET|POST) (/v\d[^`]*)`", DOCUMENT))
    for path in reported:
        general = path.replace("digits", "{model}").replace("{v}", "{version}")
        assert {path, general, general.replace("{model}", "{name}")} & there, path
    settings = set(re.findall(r"DIGITSERVE_([A-Z_]+)", DOCUMENT))
    assert {name.lower() for name in settings} <= set(Settings.model_fields)


def test_every_extension_is_documented() -> None:
    words = {"binary_tensor_data": "JSON and bytes", "schedule_policy": "`timeout`"}
    words |= {"model_configuration": "/config", "model_repository": "model repository"}
    assert all(words.get(name, name) in DOCUMENT for name in EXTENSIONS)
