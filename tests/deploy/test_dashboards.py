"""The committed dashboards meet what Grafana 12 needs to show them as intended."""

import configparser
import json
import re
from collections.abc import Callable
from itertools import combinations
from typing import Any, get_args

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Panel

from deploy.grafana.__main__ import DASHBOARDS
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


# Numbers of the deployment in recording.yml.
WITHOUT_LABELS = {"digitserve:capacity:requests_per_second", "digitserve:memory_limit:bytes"}
PANELS = [(name, panel) for name in NAMES for panel in panels(name)]


def faulty(is_right: Callable[[Any], bool]) -> list[str]:
    """The names of all panels that fail the check."""
    return [f"{name}: {panel['title']}" for name, panel in PANELS if not is_right(panel)]


def test_the_committed_json_is_up_to_date() -> None:
    """If not, run make dashboards."""
    committed = {name: (FOLDER / f"{name}.json").read_text() for name in NAMES}
    assert [name for name in NAMES if committed[name] != DASHBOARDS[name]] == []


def test_there_are_no_other_dashboards() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_panels_and_rows_have_unique_ids_and_do_not_overlap(name: str) -> None:
    everything = dashboard(name)["panels"]
    assert len({each["id"] for each in everything}) == len(everything)
    assert len({each["title"] for each in everything}) == len(everything)
    for one, other in combinations([each["gridPos"] for each in everything], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)


@pytest.mark.parametrize("name", NAMES)
def test_every_row_of_panels_fills_the_width_of_the_dashboard(name: str) -> None:
    lines: dict[int, int] = {}
    for place in (each["gridPos"] for each in dashboard(name)["panels"]):
        lines[place["y"]] = lines.get(place["y"], 0) + place["w"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
    assert set(lines.values()) == {24}


def test_every_panel_describes_what_it_shows_and_what_is_bad() -> None:
    def described(panel: Any) -> bool:
        return bool(re.search(r"\w.*[.:].*\bBad: \w.*\.$", panel["description"], re.DOTALL))

    assert faulty(described) == []


def test_every_panel_has_a_unit_that_grafana_knows() -> None:
    assert faulty(lambda panel: panel["fieldConfig"]["defaults"]["unit"] in get_args(Unit)) == []


def test_every_query_has_a_ref_id_a_legend_and_a_data_source() -> None:
    def complete(panel: Any) -> bool:
        targets = panel["targets"]
        source = {"type": "prometheus", "uid": "${datasource}"}
        return (
            [target["refId"] for target in targets] == list("ABCDEFGHIJ")[: len(targets)] != []
            and all(each["datasource"] == source for each in (panel, *targets))
            and all(target["expr"] and target["legendFormat"] for target in targets)
            and all(target["instant"] != target["range"] for target in targets)
        )

    assert faulty(complete) == []


def test_every_query_selects_the_chosen_instances() -> None:
    def selective(query: str) -> bool:
        named = re.findall(r"\b(?:digitserve|process)_\w+|\bup\b|\bALERTS\w*\b", query)
        selected = query.count('{job=~"$job", instance=~"$instance"')
        selected += query.count('job=~"$job|balancer"}')  # alerts, of any instance
        # Series of the balancer, and those that are recorded over all instances.
        named += re.findall(r"\bhaproxy_\w+", query)
        selected += query.count('{job="balancer", proxy=')
        named += set(re.findall(r"\bdigitserve:[\w:]+", query)) - WITHOUT_LABELS
        selected += len(re.findall(r'digitserve:[\w:]+{job=~"\$job"}', query))
        return len(named) == selected and (selected > 0 or query.startswith(tuple(WITHOUT_LABELS)))

    assert faulty(lambda panel: all(selective(each["expr"]) for each in panel["targets"])) == []


def test_durations_do_not_include_refused_requests() -> None:
    """They are fast, and would make an overloaded service look fast."""

    def answered_only(query: str) -> bool:
        durations = query.count("http_request_duration_seconds")
        return query.count('version!="none"') == durations

    assert faulty(lambda panel: all(answered_only(each["expr"]) for each in panel["targets"])) == []


def test_rates_use_the_interval_that_grafana_chooses() -> None:
    windows = {"bargauge": {"$__range"}, "stat": {"$__rate_interval", "$__range"}}

    def chosen(panel: Any) -> bool:
        used = {w for each in panel["targets"] for w in re.findall(r"\[(.*?)\]", each["expr"])}
        return used <= windows.get(panel["type"], {"$__rate_interval"})

    assert faulty(chosen) == []


def test_thresholds_ascend_from_a_base_without_a_value() -> None:
    def rising(panel: Any) -> bool:
        first, *others = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        values = [step["value"] for step in others]
        return first["value"] is None and values == sorted(set(values))

    assert faulty(rising) == []


def test_the_schema_of_grafana_s_sdk_has_every_field_of_the_panels() -> None:
    """Its decoder drops fields that are not in the schema."""
    register_default_plugins()

    def known(panel: Any) -> bool:
        decoded = json.loads(json.dumps(Panel.from_json(panel), cls=JSONEncoder))
        if "custom" not in panel["fieldConfig"]["defaults"]:  # the decoder adds an empty one
            decoded["fieldConfig"]["defaults"].pop("custom", None)
        return bool(decoded == panel)

    assert faulty(known) == []


def test_heat_maps_have_all_colours_and_the_axis_that_grafana_12_requires() -> None:
    def complete(panel: Any) -> bool:
        if panel["type"] != "heatmap":
            return True
        options = panel["options"]
        required = {"mode", "scheme", "fill", "exponent", "steps", "reverse"}
        return required <= set(options["color"]) and options["yAxis"]["reverse"] is False

    assert faulty(complete) == []


def test_the_first_panel_names_the_alerts_that_fire() -> None:
    first = panels("service")[0]
    assert first["type"] == "table"
    (organize,) = first["transformations"]
    columns = organize["options"]["renameByName"]
    assert list(columns) == ["severity", "alertname", "instance", "Value"]
    assert first["fieldConfig"]["defaults"]["unit"] == "dateTimeFromNow"


def test_only_heat_maps_query_buckets() -> None:
    def consistent(panel: Any) -> bool:
        is_map = panel["type"] == "heatmap"
        return all(
            (each["format"] == "heatmap") == is_map
            and ("_bucket" in each["expr"] and "{{le}}" in each["legendFormat"]) == is_map
            for each in panel["targets"]
        )

    assert faulty(consistent) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_dashboard_has_a_stable_uid_and_links_to_the_other_and_the_runbook(
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


def test_grafana_finds_its_data_source_and_the_dashboards() -> None:
    (source,) = provisioned("datasources", "prometheus")["datasources"]
    assert (source["uid"], source["url"]) == ("prometheus", "http://prometheus:9090")
    (provider,) = provisioned("dashboards", "digitserve")["providers"]
    home = grafana_ini()["dashboards"]["default_home_dashboard_path"]
    assert home == f"{provider['options']['path']}/service.json"
    assert not provider["allowUiUpdates"]


def test_the_data_source_knows_the_scrape_interval() -> None:
    prometheus = yaml.safe_load((GRAFANA.parent / "prometheus/prometheus.yml").read_text())
    (source,) = provisioned("datasources", "prometheus")["datasources"]
    assert source["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]


def test_anonymous_users_may_view_and_not_administer() -> None:
    ini = grafana_ini()
    assert ini["auth.anonymous"].getboolean("enabled")
    assert ini["auth.anonymous"]["org_role"] == "Viewer"
    assert ini["security"].getboolean("disable_initial_admin_creation")
    assert "admin_password" not in ini["security"]
    assert not ini["users"].getboolean("allow_sign_up")


def test_grafana_sends_no_usage_reports() -> None:
    wanted = {
        ("analytics", "reporting_enabled"): False,
        ("analytics", "check_for_updates"): False,
        ("analytics", "check_for_plugin_updates"): False,
        ("news", "news_feed_enabled"): False,
        ("security", "disable_gravatar"): True,
        ("plugins", "preinstall_disabled"): True,
        ("snapshots", "external_enabled"): False,
    }
    ini = grafana_ini()
    assert {key: ini[key[0]].getboolean(key[1]) for key in wanted} == wanted
