"""The stack for Docker Swarm agrees with the files that it mounts and with the service's settings.

`make test-scale` deploys it; `docker stack config` reads it in tests/docker.
"""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract.card import SCHEMA, NewerCard
from contract.version import Version
from service.settings import PREFIX, Settings
from tests.scale.stack import CARD, of_next_release
from tests.support.running import ROOT

SWARM = ROOT / "deploy/swarm"
STACK: Any = yaml.safe_load((SWARM / "stack.yml").read_text())


def test_every_mounted_file_exists_and_its_name_can_change() -> None:
    """Swarm refuses to change a configuration that is in use."""
    for each in STACK["configs"].values():
        assert (SWARM / each["file"]).is_file()
        assert each["name"].endswith("${CONFIG:-1}")


def test_prometheus_scrapes_each_balancer_and_all_else_as_in_compose() -> None:
    """A balancer runs on each labelled node, and all of them have one name."""
    here = yaml.safe_load((SWARM / "prometheus.yml").read_text())
    compose = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    (balancer,) = (each for each in here["scrape_configs"] if each["job_name"] == "balancer")
    (found,) = balancer["dns_sd_configs"]
    assert (found["names"], found["port"]) == (["balancer"], 8405)
    assert STACK["services"]["balancer"]["deploy"]["mode"] == "global"
    for each in compose["scrape_configs"]:
        if each["job_name"] == "balancer":
            each.clear()
            each.update(balancer)
    assert here == compose


def test_every_setting_and_secret_of_the_service_exists() -> None:
    service = STACK["services"]["service"]
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    secrets = {name.upper() for name in service["secrets"]}
    assert {name for name in service["environment"] if name.startswith(PREFIX)} <= known
    assert secrets <= known
    assert not secrets & service["environment"].keys()  # a variable would override the secret


def test_a_replica_has_the_time_to_drain_and_answer() -> None:
    grace = float(re.fullmatch(r"(\d+)s", STACK["services"]["service"]["stop_grace_period"])[1])  # type: ignore[index]
    settings = Settings.model_construct()
    assert grace > settings.drain_seconds + settings.request_timeout


@pytest.mark.parametrize("name", STACK["services"])
def test_every_container_is_limited_and_cannot_write_to_its_image(name: str) -> None:
    service = STACK["services"][name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["deploy"]["resources"]["limits"].keys() >= {"cpus", "memory"}
    assert service["deploy"]["endpoint_mode"] == "dnsrr"


def test_the_next_release_of_the_test_reads_cards_that_this_one_does_not(
    version: Version, tmp_path: Path
) -> None:
    """With it `make test-scale` tests a rollback of the image."""
    path = tmp_path / "card.py"
    path.write_text(of_next_release((ROOT / CARD).read_text()))
    newer = version.card.model_copy(update={"schema_version": SCHEMA + 1}).to_json()
    assert runpy.run_path(str(path))["ModelCard"].from_json(newer).schema_version == SCHEMA + 1
    with pytest.raises(NewerCard):
        version.card.from_json(newer)
