"""The configuration that compose derives from its files."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from service.settings import PREFIX, Settings
from tests.docker.conftest import ALERTED, FILES, SCALED
from tests.docker.engine import ROOT, CommandFailed
from tests.docker.stack import PROFILES, Stack

SERVICES = {
    "settings", "trainer", "service", "retraining", "prometheus", "grafana", "locust",
    "locust-worker", "sbom",
}  # fmt: skip
ONCE = {"settings", "trainer", "locust", "locust-worker", "sbom"}  # they exit by themselves
# Variables of OpenTelemetry, the first of which contains a secret.
OF_TRACES = {"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"}
# Of the provider of a bucket.
OF_BUCKETS = {
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION",
    "AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP", "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_ENDPOINT", "GOOGLE_SERVICE_ACCOUNT_KEY",
}  # fmt: skip
OF_COMPOSE = {"DIGITSERVE_COMPOSE"}
OF_THE_IMAGE = {"host", "port", "uds"}  # the image and the compose file agree on these


def config(*files: str, **settings: str) -> Any:
    words = (*PROFILES, "config", "--format=json")
    return json.loads(Stack(files, (), **settings).compose(*words))["services"]


@pytest.fixture(scope="module", params=[FILES[:1], FILES], ids=["cpu", "gpu"])
def services(request: pytest.FixtureRequest) -> Any:
    return config(*request.param)


def test_the_services_have_the_names_used_elsewhere(services: Any) -> None:
    assert set(services) == SERVICES


def test_no_name_would_make_two_stacks_conflict(services: Any) -> None:
    assert not [name for name, service in services.items() if "container_name" in service]


@pytest.mark.parametrize(("files", "name"), [(SCALED, "balancer"), (ALERTED, "alertmanager")])
def test_what_other_files_add_is_limited_and_hardened(files: tuple[str, ...], name: str) -> None:
    services = config(*files, ALERT_RECEIVERS="./receivers.yml")
    added, service = services[name], services["service"]
    for key in ("read_only", "cap_drop", "security_opt", "pids_limit", "logging", "restart"):
        assert added[key] == service[key]
    assert int(added["mem_limit"]) > 0
    assert added["cpus"] > 0


def test_an_alertmanager_needs_receivers() -> None:
    with pytest.raises(CommandFailed, match="Name the file with your receivers"):
        config(*ALERTED)


def test_only_with_an_alertmanager_prometheus_has_its_address(services: Any) -> None:
    def mounted(prometheus: Any) -> bool:
        targets = [each["target"] for each in prometheus["volumes"]]
        return "/etc/alertmanager/targets.yml" in targets

    alerted = config(*ALERTED, ALERT_RECEIVERS="./receivers.yml")
    assert mounted(alerted["prometheus"])
    assert not mounted(services["prometheus"])


def test_every_file_that_is_mounted_exists() -> None:
    for files in (FILES, SCALED, ALERTED):
        services = config(*files, ALERT_RECEIVERS="./deploy/alertmanager/receivers.example.yml")
        for volume in (each for one in services.values() for each in one.get("volumes", ())):
            assert volume["type"] == "volume" or Path(volume["source"]).exists(), volume


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_container_is_limited_and_hardened(services: Any, name: str) -> None:
    service = services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["mem_limit"]) > 0
    assert service["cpus"] > 0
    assert service["pids_limit"] > 0
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}
    assert service["restart"] == ("no" if name in ONCE else "unless-stopped")


def test_only_service_and_grafana_are_published_on_this_machine_only(services: Any) -> None:
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(ports) == {"service", "grafana"}
    assert {port["host_ip"] for each in ports.values() for port in each} == {"127.0.0.1"}


def test_prometheus_and_locust_have_no_outside_network(services: Any) -> None:
    for name in ("prometheus", "locust", "locust-worker"):
        assert set(services[name]["networks"]) == {"inside"}


def test_retraining_yields_to_the_service(services: Any) -> None:
    retraining, service = services["retraining"], services["service"]
    assert retraining["cpus"] < service["cpus"]
    assert retraining["cpu_shares"] < 1024
    assert retraining["oom_score_adj"] > 0


def test_the_service_and_the_worker_share_what_a_job_needs() -> None:
    services = config(*FILES[:1], DIGITSERVE_JOBS="sqlite:////jobs/jobs.sqlite")
    used = [services[name] for name in ("service", "retraining")]
    assert len({each["environment"]["DIGITSERVE_JOBS"] for each in used}) == 1
    for volume in ("models", "jobs", "feedback", "training"):
        assert all(volume in [each["source"] for each in one["volumes"]] for one in used)


def test_scaled_only_the_balancer_publishes_the_service() -> None:
    services = config(*SCALED, REPLICAS="3", PORT="8000")
    assert set(services) == SERVICES | {"balancer"}
    assert services["service"]["deploy"]["replicas"] == 3
    assert "ports" not in services["service"]
    (port,) = services["balancer"]["ports"]
    assert (port["host_ip"], port["published"], port["target"]) == ("127.0.0.1", "8000", 8000)


def test_locust_waits_for_all_of_its_workers() -> None:
    services = config(*FILES[:1], LOAD_WORKERS="3", LOAD_SHAPE="ramp")
    assert services["locust-worker"]["deploy"]["replicas"] == 3
    assert "--expect-workers=3" in services["locust"]["command"]
    assert services["locust"]["environment"]["LOADTEST_SHAPE"] == "ramp"


def test_a_stop_allows_for_the_drain_and_the_last_request(services: Any) -> None:
    (grace,) = re.findall(r"^(\d+)s$", services["service"]["stop_grace_period"])
    fields = Settings.model_fields
    assert int(grace) > fields["drain_seconds"].default + fields["request_timeout"].default


def test_every_setting_of_the_service_can_be_set(services: Any) -> None:
    reported = set(services["service"]["environment"])
    assert reported - OF_TRACES - OF_BUCKETS - OF_COMPOSE == {
        PREFIX + name.upper() for name in Settings.model_fields if name not in OF_THE_IMAGE
    }


def test_an_omitted_setting_is_not_set() -> None:
    assert config(*FILES[:1])["service"]["environment"]["DIGITSERVE_API_KEYS"] is None


def test_no_service_gets_the_secrets_of_another(services: Any) -> None:
    for name, service in services.items():
        reported = set(service.get("environment") or {})
        assert ("GF_SECURITY_ADMIN_PASSWORD" in reported) == (name == "grafana")
        assert ("DIGITSERVE_ADMIN_TOKEN" in reported) == (name in ("service", "settings"))
        uses_the_store = name in ("trainer", "service", "settings", "retraining")
        assert reported >= OF_BUCKETS if uses_the_store else not OF_BUCKETS & reported
        assert ("API_KEY" in reported) == (name == "locust-worker")
        assert ("OTEL_EXPORTER_OTLP_HEADERS" in reported) == (name in ("service", "settings"))


def test_the_settings_that_are_checked_are_those_of_the_service(services: Any) -> None:
    checked, used = services["settings"]["environment"], services["service"]["environment"]
    on_gpu = {"DIGITSERVE_PROVIDER"}  # of which docker-compose.gpu.yml changes the default
    assert {k: v for k, v in checked.items() if k not in on_gpu} == {
        k: v for k, v in used.items() if k not in on_gpu
    }


def test_without_profiles_only_prometheus_is_pulled() -> None:
    words = ("config", "--format=json")
    services = json.loads(Stack(FILES[:1]).compose(*words))["services"]
    assert [name for name, each in services.items() if "build" not in each] == ["prometheus"]
    built = {name for name, each in services.items() if each.get("pull_policy") == "never"}
    assert built == {"settings", "trainer", "service"}


def test_the_service_names_the_published_address() -> None:
    environment = config(*FILES[:1], BIND="192.0.2.1", PORT="9000")["service"]["environment"]
    assert environment["DIGITSERVE_PUBLIC_URL"] == "http://192.0.2.1:9000"


def test_without_a_password_grafana_creates_no_admin(services: Any) -> None:
    """An empty value means that of grafana.ini."""
    environment = services["grafana"]["environment"]
    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == ""
    assert environment["GF_SECURITY_ADMIN_PASSWORD"] == ""


def test_on_a_gpu_the_service_requires_cuda() -> None:
    service = config(*FILES)["service"]
    assert service["environment"]["DIGITSERVE_PROVIDER"] == "cuda"
    assert service["build"]["target"] == "service-gpu"
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])


def test_the_example_env_file_lists_exactly_the_existing_variables() -> None:
    compose = "".join((ROOT / file).read_text() for file in (*FILES, *SCALED[1:], *ALERTED[1:]))
    matches = set(re.findall(r"\$\{(\w+)|^ +([A-Z_]+):$", compose, re.MULTILINE))
    variables = {"".join(each) for each in matches} - {"VERSION", "REVISION", "CREATED"}
    reported = set(re.findall(r"^#(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    settings = {PREFIX + name.upper() for name in Settings.model_fields}
    assert reported - settings == variables - settings - {"DIGITSERVE_SIGNING_KEY"}
