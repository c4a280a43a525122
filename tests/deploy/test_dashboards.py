"""What the committed dashboards must be for Grafana 12 to show them as they are meant."""

import configparser
import re
from itertools import combinations
from typing import Any, get_args

import pytest
import yaml

from deploy.grafana.__main__ import DASHBOARDS, text_of
from deploy.grafana.dashboard import Dashboard
from deploy.grafana.panel import Unit
from tests.monitoring.dashboards import FOLDER, NAMES, dashboard, panels

GRAFANA = FOLDER.parent
PROVISIONING = GRAFANA / "provisioning"


def provisioned(kind: str, name: str) -> Any:
    return yaml.safe_load((PROVISIONING / kind / f"{name}.yml").read_text())


def grafana_ini() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(GRAFANA / "grafana.ini")
    return parser


@pytest.fixture(params=[(name, panel) for name in NAMES for panel in panels(name)],
                ids=lambda pair: f"{pair[0]}: {pair[1]['title']}")  # fmt: skip
def panel(request: pytest.FixtureRequest) -> Any:
    return request.param[1]


@pytest.mark.parametrize("described", DASHBOARDS, ids=lambda each: each.name)
def test_the_committed_json_is_what_the_program_writes(described: Dashboard) -> None:
    """If not: make dashboards."""
    assert (FOLDER / f"{described.name}.json").read_text() == text_of(described)


def test_there_are_no_other_dashboards() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_panels_and_rows_have_an_id_of_their_own_and_a_place_of_their_own(name: str) -> None:
    everything = dashboard(name)["panels"]
    assert len({each["id"] for each in everything}) == len(everything)
    assert len({each["title"] for each in everything}) == len(everything)
    for one, other in combinations([each["gridPos"] for each in everything], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)


@pytest.mark.parametrize("name", NAMES)
def test_every_line_of_panels_is_as_wide_as_the_dashboard(name: str) -> None:
    lines: dict[int, int] = {}
    for place in (each["gridPos"] for each in dashboard(name)["panels"]):
        lines[place["y"]] = lines.get(place["y"], 0) + place["w"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
    assert set(lines.values()) == {24}


def test_every_panel_says_what_it_shows_and_what_is_bad(panel: Any) -> None:
    assert re.search(r"\w.*[.:].*\bBad: \w", panel["description"], re.DOTALL)
    assert panel["description"].endswith(".")


def test_every_panel_has_a_unit_that_grafana_knows(panel: Any) -> None:
    assert panel["fieldConfig"]["defaults"]["unit"] in get_args(Unit)


def test_every_question_has_a_letter_a_legend_and_a_source(panel: Any) -> None:
    targets = panel["targets"]
    assert [target["refId"] for target in targets] == list("ABCDEFGHIJ")[: len(targets)] != []
    for each in (panel, *targets):
        assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    for target in targets:
        assert target["expr"]
        assert target["legendFormat"]
        assert target["instant"] != target["range"]


def test_every_question_is_about_the_selected_instances(panel: Any) -> None:
    for target in panel["targets"]:
        named = re.findall(r"\b(?:digitserve|process)_\w+|\bup\b|\bALERTS\b", target["expr"])
        selected = target["expr"].count('{job=~"$job", instance=~"$instance"')
        selected += target["expr"].count('{alertstate="firing", job=~"$job"}')  # of any instance
        assert len(named) == selected > 0


def test_rates_are_over_a_window_that_grafana_chooses(panel: Any) -> None:
    for target in panel["targets"]:
        windows = set(re.findall(r"\[(.*?)\]", target["expr"]))
        allowed = {"$__range"} if panel["type"] == "bargauge" else {"$__rate_interval"}
        allowed |= {"$__range"} if panel["type"] == "stat" else set()
        assert windows <= allowed


def test_limits_rise_from_a_first_that_is_below_all(panel: Any) -> None:
    first, *others = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert first["value"] is None
    values = [step["value"] for step in others]
    assert values == sorted(set(values))


def test_heat_maps_take_the_buckets_as_they_are(panel: Any) -> None:
    for target in panel["targets"]:
        assert (target["format"] == "heatmap") == (panel["type"] == "heatmap")
        assert ("_bucket" in target["expr"] and "{{le}}" in target["legendFormat"]) == (
            panel["type"] == "heatmap"
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_dashboard_is_addressed_by_its_name_and_links_to_the_other_and_the_runbook(
    name: str,
) -> None:
    found = dashboard(name)
    other = next(each for each in NAMES if each != name)
    assert found["uid"] == f"digitserve-{name}"
    assert found["schemaVersion"] == 41
    urls = {link["url"] for link in found["links"]}
    assert urls == {f"/d/digitserve-{other}", "/public/runbook.txt"}
    variables = [variable["name"] for variable in found["templating"]["list"]]
    assert variables == ["datasource", "job", "instance"]
    assert found["templating"]["list"][0]["current"]["value"] == "prometheus"


def test_grafana_finds_its_source_and_the_dashboards_where_they_are_said_to_be() -> None:
    (source,) = provisioned("datasources", "prometheus")["datasources"]
    assert (source["uid"], source["url"]) == ("prometheus", "http://prometheus:9090")
    (provider,) = provisioned("dashboards", "digitserve")["providers"]
    home = grafana_ini()["dashboards"]["default_home_dashboard_path"]
    assert home == f"{provider['options']['path']}/service.json"
    assert not provider["allowUiUpdates"]


def test_windows_of_rates_know_how_often_prometheus_scrapes() -> None:
    prometheus = yaml.safe_load((GRAFANA.parent / "prometheus/prometheus.yml").read_text())
    (source,) = provisioned("datasources", "prometheus")["datasources"]
    assert source["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]


def test_everybody_may_look_and_nobody_is_an_admin() -> None:
    ini = grafana_ini()
    assert ini["auth.anonymous"].getboolean("enabled")
    assert ini["auth.anonymous"]["org_role"] == "Viewer"
    assert ini["security"].getboolean("disable_initial_admin_creation")
    assert "admin_password" not in ini["security"]
    assert not ini["users"].getboolean("allow_sign_up")


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("analytics", "reporting_enabled", False),
        ("analytics", "check_for_updates", False),
        ("analytics", "check_for_plugin_updates", False),
        ("news", "news_feed_enabled", False),
        ("security", "disable_gravatar", True),
        ("plugins", "preinstall_disabled", True),
        ("snapshots", "external_enabled", False),
    ],
)
def test_grafana_tells_nobody_anything(section: str, key: str, value: bool) -> None:
    assert grafana_ini()[section].getboolean(key) is value
