"""The generated pages of the documentation list everything that there is."""

import re

import pytest

from contract.card import ModelCard
from contract.store import Store
from contract.version import Version
from service.problem_types import TYPES
from service.settings import Settings
from tests.support import fetch
from tests.support.running import ROOT, Service, wait_until
from tools.site import commands, tables
from tools.site.card import model_card
from tools.site.diagrams import DIAGRAMS, FOLDER
from tools.site.routes import routes
from training.presets import PRESETS
from training.recipe import Recipe

# They print no help: a schema, the dashboards, and what needs Prometheus when it is imported.
WITHOUT_HELP = {"deploy.grafana", "tools.dashboard_pictures"}


def test_every_metric_of_a_service_is_listed_with_its_meaning(
    published: tuple[Store, Version], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests/support/fake_gpu"))  # simulate a GPU
    with Service.started(published[0].folder.parent) as service:

        def exposition() -> str:
            return fetch.get(f"{service.url}/metrics").text

        wait_until(lambda: "digitserve_gpu_" in exposition(), service)
        found = set(re.findall(r"^# HELP (digitserve_\w+) ", exposition(), re.MULTILINE))
        kinds = dict(re.findall(r"^# TYPE (digitserve_\w+) (\w+)", exposition(), re.MULTILINE))
    listed = dict(re.findall(r"^\| <code>(\w+)[^|]*\| (\w+) \|", tables.metrics(), re.MULTILINE))
    assert {name: listed.get(name) for name in found} == {name: kinds[name] for name in found}


def test_the_labels_of_a_metric_are_listed() -> None:
    assert "<code>digitserve_http_requests_total{route,method,code}</code>" in tables.metrics()


def test_a_setting_is_listed_with_default_limits_and_meaning() -> None:
    page = tables.settings()
    assert all(f'<a id="{name}"></a>' in page for name in Settings.model_fields)
    (row,) = [line for line in page.splitlines() if 'id="port"' in line]
    for each in ("DIGITSERVE_PORT", "8000", "≥ 0, ≤ 65,535", "takes any free one"):
        assert each in row


@pytest.mark.parametrize("code", TYPES)
def test_a_problem_type_has_a_heading_that_its_code_leads_to(code: str) -> None:
    page = tables.problems()
    heading, _, rest = page.partition(f"{{ #{code} }}\n")
    assert heading.splitlines()[-1].startswith("### ")
    assert rest.startswith(f"\n**{TYPES[code].status} ")


def test_every_option_and_preset_of_a_recipe_is_listed() -> None:
    page = tables.recipe()
    for name in Recipe.__dataclass_fields__:
        assert f'<a id="{name}"></a>' in page
    assert all(f"<code>{name}</code>" in page for name in PRESETS)


def test_a_field_of_the_card_is_listed_with_its_type_and_meaning() -> None:
    page = model_card()
    assert all(f"| <code>{name}</code> |" in page for name in ModelCard.model_fields)
    assert "| <code>run</code> | string or null | The training run it came from" in page
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert [row for row in rows if row.endswith("|  |")] == []
    assert "None" not in page.partition("## JSON Schema")[0]


def test_a_route_is_listed_with_parameters_access_and_problems() -> None:
    page = routes()
    (row,) = [line for line in page.splitlines() if "POST /v1/models/{name}/rollback" in line][:1]
    assert row.endswith("| admin token |")
    predict = page.partition("### <code>POST /v1/predict</code>")[2].partition("\n### ")[0]
    assert "| <code>top_k</code> | query |" in predict
    assert "[<code>queue-full</code>](problems.md#queue-full)" in predict


def test_each_program_that_prints_help_is_listed() -> None:
    listed = {module for modules in commands.PROGRAMS.values() for module in modules}
    programs = {
        ".".join(path.relative_to(ROOT).parent.parts)
        for path in ROOT.glob("[a-z]*/**/__main__.py")
        if path.relative_to(ROOT).parts[0] != "tests"
    }
    assert programs - listed == WITHOUT_HELP
    tools = {
        f"tools.{path.stem}" for path in ROOT.glob("tools/*.py") if "program(" in path.read_text()
    }
    assert tools <= listed


def test_a_subcommand_has_its_own_help() -> None:
    assert commands.subcommands("contract", commands.help_of("contract")) == [
        "list", "show", "verify", "activate", "rollback", "history", "prune", "diff", "keygen",
        "schema",
    ]  # fmt: skip
    assert "python -m contract activate" in commands.help_of("contract", "activate")


@pytest.mark.parametrize("name", DIAGRAMS)
def test_the_committed_diagram_is_that_of_its_description(name: str) -> None:
    """If not, run python -m tools.site.diagrams."""
    assert (FOLDER / f"{name}.svg").read_text() == DIAGRAMS[name]()
