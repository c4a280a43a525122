"""What pods may connect to, and which routes are published."""

from typing import Any, NamedTuple

import pytest

from tests.helm.chart import NAME, find, render, variables

DNS = {"kube-dns:53/UDP", "kube-dns:53/TCP"}


def reachable(values: str, *overrides: str, name: str = NAME) -> set[str]:
    """What pods may connect to, as peer:port; * is any address."""
    policy = find("NetworkPolicy", render(values, *overrides), name)["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    found = set()
    for rule in policy["egress"]:
        for to in rule.get("to", ["*"]):
            for port in rule["ports"]:
                peer = "*" if to == "*" else _peer(to)
                kind = f"/{port['protocol']}" if port["port"] == 53 else ""
                found.add(f"{peer}:{port['port']}{kind}")
    return found


def _peer(to: dict[str, Any]) -> str:
    if "ipBlock" in to:
        return str(to["ipBlock"]["cidr"])
    labels = to["podSelector"]["matchLabels"]
    return str(labels.get("k8s-app") or labels["app.kubernetes.io/component"])


def test_a_replica_without_peers_and_stores_connects_to_nothing() -> None:
    assert reachable("init-image") == set()


def test_a_replica_connects_to_the_others_for_the_live_view() -> None:
    assert reachable("claim") == {*DNS, "service:http"}


@pytest.mark.parametrize(
    ("overrides", "port"),
    [
        ((), 4318),
        (('settings.OTLP_ENDPOINT="http://collector"',), 80),
        (('settings.OTLP_ENDPOINT="https://collector/v1"',), 443),
        (('settings.OTLP_ENDPOINT="https://collector:8443/v1"',), 8443),
    ],
)
def test_a_replica_connects_to_the_object_store_and_the_collector(
    overrides: tuple[str, ...], port: int
) -> None:
    found = reachable("object-store-keda", *overrides)
    assert found == {*DNS, "service:http", "*:443", f"*:{port}"}


def test_the_ports_of_the_object_store_and_the_database_can_be_set() -> None:
    assert {"*:9000", "*:6432"} < reachable("everything", name="digits")


def test_further_rules_are_added() -> None:
    assert "169.254.169.254/32:80" in reachable("gpu")


def test_a_worker_connects_to_the_database_and_downloads_data_if_it_may() -> None:
    name = f"{NAME}-retraining"
    assert reachable("retraining", name=name) == {*DNS, "*:5432", "*:443"}
    alone = reachable("retraining", "retraining.downloads=false", name=name)
    assert alone == {*DNS, "*:5432"}
    worker = find("NetworkPolicy", render("retraining"), name)["spec"]
    assert worker["ingress"] == []


def test_only_the_named_peers_and_the_release_itself_may_connect() -> None:
    (rule,) = find("NetworkPolicy", render("everything"), "digits")["spec"]["ingress"]
    gateway, release = rule["from"]
    assert gateway["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "gateway"}
    assert release["podSelector"]["matchLabels"]["app.kubernetes.io/instance"] == "d"
    assert rule["ports"] == [{"protocol": "TCP", "port": "http"}]


def test_the_replicas_have_a_name_that_resolves_to_all_of_them() -> None:
    name, _, port = variables(render())["DIGITSERVE_PEERS"].partition(":")
    service = find("Service", render(), name)["spec"]
    assert service["clusterIP"] == "None"
    assert service["ports"][0]["port"] == int(port)
    assert service["selector"] == find("Deployment", render())["spec"]["selector"]["matchLabels"]


# ---- published routes ---------------------------------------------------------------------------


class Request(NamedTuple):
    method: str
    path: str


PUBLIC = [
    Request("GET", "/"),
    Request("GET", "/web/main.js"),
    Request("GET", "/docs"),
    Request("GET", "/openapi.json"),
    Request("GET", "/static-offline-docs/swagger-ui.css"),
    Request("POST", "/v1/predict"),
    Request("OPTIONS", "/v1/predict"),
    Request("GET", "/v1/status"),
    Request("GET", "/v1/live"),
    Request("GET", "/v1/models"),
    Request("GET", "/v1/models/flowers"),
    Request("GET", "/v1/samples/random"),
    Request("GET", "/v2"),
    Request("GET", "/v2/health/ready"),
    Request("GET", "/v2/models/flowers"),
    Request("POST", "/v2/models/flowers/infer"),
]
# They share their paths with admin routes.
PUBLIC_BY_METHOD = [
    Request("GET", "/v1/models/flowers/versions/3"),
    Request("GET", "/v1/models/flowers/versions/3/files/plot.png"),
    Request("POST", "/v1/feedback"),
]
NOT_PUBLISHED = [
    Request("GET", "/metrics"),
    Request("GET", "/readyz"),
    Request("GET", "/livez"),
    Request("POST", "/v1/models/flowers/rollback"),
    Request("POST", "/v1/models/flowers/versions/3/activate"),
    Request("POST", "/v2/repository/models/flowers/load"),
    Request("GET", "/v1/retrain"),
    Request("POST", "/v1/retrain"),
    Request("GET", "/v1/runs"),
    Request("GET", "/v1/feedback"),
    Request("POST", "/v1/feedback/abc/accept"),
    Request("DELETE", "/v1/feedback/abc"),
]


def by_gateway(request: Request) -> bool:
    rules = find("HTTPRoute", render("everything"))["spec"]["rules"]
    return any(
        _matches(match["path"]["type"], match["path"]["value"], request.path)
        and match.get("method", request.method) == request.method
        for rule in rules
        for match in rule["matches"]
    )


def by_ingress(request: Request) -> bool:
    (rule,) = find("Ingress", render("everything"))["spec"]["rules"]
    return any(
        _matches(each["pathType"], each["path"], request.path) for each in rule["http"]["paths"]
    )


def _matches(kind: str, prefix: str, path: str) -> bool:
    """Prefixes are of whole elements: /docs matches /docs/x and not /docsx."""
    return path == prefix or (kind != "Exact" and path.startswith(f"{prefix}/"))


@pytest.mark.parametrize("request_", PUBLIC, ids=" ".join)
def test_public_routes_are_published(request_: Request) -> None:
    assert by_gateway(request_)
    assert by_ingress(request_)


@pytest.mark.parametrize("request_", PUBLIC_BY_METHOD, ids=" ".join)
def test_a_gateway_also_publishes_routes_that_share_a_path_with_an_admin_route(
    request_: Request,
) -> None:
    assert by_gateway(request_)
    assert not by_ingress(request_)


@pytest.mark.parametrize("request_", NOT_PUBLISHED, ids=" ".join)
def test_metrics_probes_and_admin_routes_are_not_published(request_: Request) -> None:
    assert not by_gateway(request_)
    assert not by_ingress(request_)


def test_routes_lead_to_the_port_of_the_service() -> None:
    manifests = render("everything")
    for rule in find("HTTPRoute", manifests)["spec"]["rules"]:
        assert rule["backendRefs"] == [{"name": "digits", "port": 80}]
    assert find("Service", manifests, "digits")["spec"]["ports"][0]["port"] == 80


def test_an_ingress_has_the_certificate_of_its_host() -> None:
    spec = find("Ingress", render("claim-hpa"))["spec"]
    assert spec["tls"] == [{"secretName": "digits-tls", "hosts": ["digits.example.com"]}]
    assert spec["rules"][0]["host"] == "digits.example.com"
    assert spec["ingressClassName"] == "haproxy"
