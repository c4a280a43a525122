"""What the pods are: their probes, how long they have to stop, settings, secrets, volumes, GPUs."""

from typing import Any

import pytest

from service.settings import Settings
from tests.helm.chart import CHART, VALUE_SETS, container, find, helm, pods, render, variables

EVERY_POD = [
    pytest.param(values, kind, id=f"{values}-{kind}")
    for values in VALUE_SETS
    for kind in pods(render(values))
]
SECRET = "0123456789abcdef"


def test_probes_distinguish_starting_draining_and_hanging() -> None:
    service = container(render())
    probes = {
        name: (probe["httpGet"]["path"], probe["periodSeconds"], probe["failureThreshold"])
        for name in ("startupProbe", "readinessProbe", "livenessProbe")
        if (probe := service[name])
    }
    assert probes == {
        "startupProbe": ("/readyz", 1, 60),
        "readinessProbe": ("/readyz", 2, 1),
        "livenessProbe": ("/livez", 10, 3),
    }


def test_a_slow_start_is_waited_for() -> None:
    assert container(render("mig"))["startupProbe"]["failureThreshold"] == 660
    assert find("Deployment", render("mig"))["spec"]["progressDeadlineSeconds"] == 1200


@pytest.mark.parametrize(
    ("overrides", "seconds"),
    [
        ((), 10 + 5 + 10),
        (("settings.DRAIN_SECONDS=60",), 60 + 5 + 10),
        (("settings.DRAIN_SECONDS=0", "settings.REQUEST_TIMEOUT=0.5"), 11),
        (("settings.REQUEST_TIMEOUT=300",), 10 + 300 + 10),
        (("settings.REQUEST_TIMEOUT=null", "settings.DRAIN_SECONDS=null"), 5 + 5 + 10),
    ],
)
def test_a_pod_has_time_to_drain_and_to_answer(overrides: tuple[str, ...], seconds: int) -> None:
    assert (
        pods(render("claim", *overrides))["Deployment"]["terminationGracePeriodSeconds"] == seconds
    )
    assert "lifecycle" not in container(render("claim", *overrides))  # the service drains itself


def test_the_service_accepts_the_environment_that_the_chart_sets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = variables(render("everything"))
    samples = {
        "DIGITSERVE_JOBS": f"postgresql://user:{SECRET}@host/jobs",
        "DIGITSERVE_THREADS": "2",
    }
    for name, value in given.items():
        text = value if isinstance(value, str) else samples.get(name, SECRET)
        monkeypatch.setenv(name, text)
    monkeypatch.delenv("DIGITSERVE_TRUSTED_KEYS")  # not a key
    settings = Settings.from_environment()
    assert (settings.host, settings.port, settings.model) == ("0.0.0.0", 8000, "flowers")
    assert (settings.drain_seconds, settings.request_timeout) == (20, 7.5)
    assert settings.max_queue_bytes == 268435456  # not 2.68435456e+08
    assert settings.access_log == "all"
    assert settings.admin_token
    assert settings.admin_token.get_secret_value() == SECRET


@pytest.mark.parametrize(("values", "kind"), EVERY_POD)
def test_variables_of_the_namespace_do_not_become_settings(values: str, kind: str) -> None:
    """A Service named digitserve would set DIGITSERVE_PORT=tcp://10.0.0.1:8000."""
    assert pods(render(values))[kind]["enableServiceLinks"] is False


@pytest.mark.parametrize(("values", "kind"), EVERY_POD)
def test_a_pod_is_confined(values: str, kind: str) -> None:
    pod = pods(render(values))[kind]
    assert pod["automountServiceAccountToken"] is False
    security = pod["securityContext"]
    assert (security["runAsNonRoot"], security["runAsUser"]) == (True, 10001)
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    for each in [*pod["containers"], *pod.get("initContainers", [])]:
        assert each["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert each["resources"]["limits"]["memory"]
        assert each["resources"]["requests"]["cpu"]


@pytest.mark.parametrize("values", VALUE_SETS)
def test_the_chart_renders_no_secret(values: str) -> None:
    assert "Secret" not in {each["kind"] for each in render(values)}
    for kind in pods(render(values)):
        for each in container(render(values), kind).get("env", []):
            if each["name"].endswith(("_TOKEN", "_KEYS", "_JOBS")):
                assert "secretKeyRef" in each["valueFrom"]


def test_secrets_come_from_the_named_keys() -> None:
    found = variables(render("everything"))
    assert found["DIGITSERVE_ADMIN_TOKEN"] == {
        "secretKeyRef": {"name": "digitserve", "key": "admin-token"}
    }
    assert found["DIGITSERVE_JOBS"] == {"secretKeyRef": {"name": "postgres", "key": "uri"}}
    assert container(render("everything"))["envFrom"] == [{"secretRef": {"name": "azure"}}]


def test_threads_follow_the_cpu_request_and_not_the_cores_of_the_node() -> None:
    threads = {"resourceFieldRef": {"resource": "requests.cpu", "divisor": "1"}}
    assert variables(render())["DIGITSERVE_THREADS"] == threads
    assert variables(render("claim", "settings.THREADS=3"))["DIGITSERVE_THREADS"] == "3"
    assert "DIGITSERVE_THREADS" not in variables(render("claim", "resources.requests.cpu=null"))


def test_a_rollout_never_has_fewer_replicas_than_before() -> None:
    strategy = find("Deployment", render())["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_the_drain_of_a_node_takes_one_replica_at_a_time_and_is_not_blocked_by_a_broken_one() -> (
    None
):
    budget = find("PodDisruptionBudget", render())["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert budget["selector"] == find("Deployment", render())["spec"]["selector"]


def test_replicas_of_one_rollout_are_spread_over_nodes_and_zones() -> None:
    spread = pods(render())["Deployment"]["topologySpreadConstraints"]
    assert [each["topologyKey"].partition("/")[2] for each in spread] == ["hostname", "zone"]
    assert all(each["matchLabelKeys"] == ["pod-template-hash"] for each in spread)


def test_selectors_match_the_pods_and_no_other_component() -> None:
    manifests = render("everything")
    for kind in ("Deployment", "StatefulSet"):
        found = find(kind, manifests)["spec"]
        selected = found["selector"]["matchLabels"].items()
        assert selected <= found["template"]["metadata"]["labels"].items()
    service = find("Service", manifests, "digits")["spec"]["selector"]
    assert service == find("Deployment", manifests)["spec"]["selector"]["matchLabels"]
    worker = find("StatefulSet", manifests)["spec"]["template"]["metadata"]["labels"]
    assert not service.items() <= worker.items()


def test_a_digest_takes_precedence_over_a_tag() -> None:
    digest = "sha256:" + "0" * 64
    pinned = container(render("gpu", f'image.digest="{digest}"'))["image"]
    assert pinned == f"registry.example.com/digitserve-service-gpu@{digest}"


# ---- the model store ----------------------------------------------------------------------------


def mounts(values: str, kind: str = "Deployment", *overrides: str) -> dict[str, Any]:
    found = container(render(values, *overrides), kind)["volumeMounts"]
    return {each["mountPath"]: each for each in found}


def volumes(values: str, kind: str = "Deployment") -> dict[str, Any]:
    return {each["name"]: each for each in pods(render(values))[kind]["volumes"]}


def test_an_object_store_is_mirrored_to_a_volume_of_the_pod() -> None:
    found = variables(render("object-store-keda"))
    assert found["DIGITSERVE_MODELS"] == "s3://models/production"
    assert mounts("object-store-keda")[found["DIGITSERVE_MODELS_CACHE"]]["name"] == "cache"
    assert volumes("object-store-keda")["cache"]["emptyDir"] == {"sizeLimit": "2Gi"}


def test_a_claim_is_mounted_read_only_unless_versions_may_be_switched() -> None:
    assert variables(render())["DIGITSERVE_MODELS"] == "/models"
    assert mounts("claim")["/models"]["readOnly"] is True
    writable = mounts("claim-hpa")["/models"]
    assert (writable["readOnly"], writable["subPath"]) == (False, "store")


def test_an_image_of_the_store_is_copied_before_the_service_starts() -> None:
    (copy,) = pods(render("init-image"))["Deployment"]["initContainers"]
    assert copy["command"] == ["cp", "-R", "/models/.", "/copy"]
    assert copy["volumeMounts"] == [{"name": "models", "mountPath": "/copy"}]
    assert volumes("init-image")["models"]["emptyDir"] == {}
    assert mounts("init-image")["/models"]["readOnly"] is True


@pytest.mark.parametrize(("values", "kind"), EVERY_POD)
def test_every_mount_has_its_volume(values: str, kind: str) -> None:
    pod = pods(render(values))[kind]
    there = {each["name"] for each in pod.get("volumes", [])}
    claims = find(kind, render(values))["spec"].get("volumeClaimTemplates", [])
    there |= {each["metadata"]["name"] for each in claims}
    used = {mount["name"] for each in pod["containers"] for mount in each.get("volumeMounts", [])}
    assert used == there


# ---- GPUs ---------------------------------------------------------------------------------------


def test_each_replica_has_a_gpu_of_its_own_and_must_use_it() -> None:
    pod = pods(render("gpu"))["Deployment"]
    assert container(render("gpu"))["resources"]["limits"] == {"memory": "4Gi", "nvidia.com/gpu": 1}
    assert variables(render("gpu"))["DIGITSERVE_PROVIDER"] == "cuda"
    assert pod["runtimeClassName"] == "nvidia"
    assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true"}


def test_a_slice_of_a_gpu_is_a_resource_too() -> None:
    limits = container(render("mig"))["resources"]["limits"]
    assert limits == {"memory": "1Gi", "nvidia.com/mig-1g.10gb": 1}
    assert variables(render("mig"))["DIGITSERVE_PROVIDER"] == "tensorrt"


@pytest.mark.parametrize(
    ("values", "kind", "hidden"),
    [
        ("gpu", "Deployment", False),
        ("mig", "Deployment", False),
        ("claim", "Deployment", True),
        ("retraining", "StatefulSet", False),
        ("everything", "StatefulSet", True),
    ],
)
def test_a_pod_without_a_gpu_of_its_own_sees_none(values: str, kind: str, hidden: bool) -> None:
    """The variable in the images would show it all GPUs of the node."""
    found = variables(render(values), kind)
    assert (found.get("NVIDIA_VISIBLE_DEVICES") == "void") == hidden
    assert hidden or "NVIDIA_VISIBLE_DEVICES" not in found  # the device plugin sets it


# ---- retraining ---------------------------------------------------------------------------------


def test_a_worker_keeps_its_name_and_its_runs_when_its_pod_is_replaced() -> None:
    worker = container(render("retraining"), "StatefulSet")
    assert worker["command"] + worker["args"] == [
        "python", "-m", "retraining", "worker", "--name", "$(POD_NAME)",
    ]  # fmt: skip
    name = variables(render("retraining"), "StatefulSet")["POD_NAME"]
    assert name == {"fieldRef": {"fieldPath": "metadata.name"}}
    (claim,) = find("StatefulSet", render("retraining"))["spec"]["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == mounts("retraining", "StatefulSet")["/training"]["name"]


def test_a_worker_writes_the_store_that_the_service_reads() -> None:
    assert mounts("retraining", "StatefulSet")["/models"]["readOnly"] is False
    assert mounts("retraining")["/models"]["readOnly"] is True
    store = volumes("retraining")["models"]
    assert store == volumes("retraining", "StatefulSet")["models"]


def test_the_service_and_its_workers_share_jobs_and_corrections() -> None:
    service, worker = (variables(render("retraining"), k) for k in ("Deployment", "StatefulSet"))
    for name in ("DIGITSERVE_JOBS", "DIGITSERVE_FEEDBACK", "DIGITSERVE_MODEL", "DIGITSERVE_MODELS"):
        assert service[name] == worker[name]


def test_the_signing_key_is_a_file_of_the_workers_alone() -> None:
    path = variables(render("retraining"), "StatefulSet")["DIGITSERVE_SIGNING_KEY"]
    assert path == "/run/signing/key"
    assert mounts("retraining", "StatefulSet")["/run/signing"]["readOnly"] is True
    assert "signing-key" not in volumes("retraining")


def test_workers_run_on_nodes_of_their_own() -> None:
    pod = pods(render("retraining"))["StatefulSet"]
    assert pod["nodeSelector"] == {"pool": "training"}
    assert "nodeSelector" not in pods(render("retraining"))["Deployment"]
    assert (
        container(render("retraining"), "StatefulSet")["resources"]["limits"]["nvidia.com/gpu"] == 1
    )


def test_helm_test_requests_readiness_through_the_service() -> None:
    pod = find("Pod", render("everything"))
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert (
        container(render("everything"), "Pod")["command"][-1] == "http://digits:80/v2/health/ready"
    )


def test_the_notes_name_the_next_commands() -> None:
    path = CHART / "ci/claim-hpa-values.yaml"
    notes = helm("install", "d", CHART, "--namespace", "ml", "--values", path, "--dry-run=client")
    assert "kubectl --namespace ml rollout status deployment/d-digitserve" in notes
    assert "helm --namespace ml test d" in notes
    assert "https://digits.example.com" in notes
