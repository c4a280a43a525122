"""What the images contain, and what they must not contain."""

import json
import re
from typing import Any

import pytest

from tests.docker.engine import ROOT, docker, inspect, python, tried
from tests.docker.stack import Stack

SERVICE, GPU, TRAINING, LOADTEST = (
    "digitserve-service", "digitserve-service-gpu", "digitserve-training", "digitserve-loadtest",
)  # fmt: skip
ALL = (SERVICE, GPU, TRAINING, LOADTEST)
MB = 1_000_000
MOST = 440 * MB  # of the service over its base image

pytestmark = pytest.mark.usefixtures("images")

# Which of the given modules the service can import, and which programs exist.
IMPORTED = """
import importlib.util, sys
print(*[word for word in sys.argv[1:] if importlib.util.find_spec(word)])
"""
PROGRAMS = """
import shutil, sys
print(*[word for word in sys.argv[1:] if shutil.which(word)])
"""
# Wheels and caches of pip anywhere in the image.
CACHES = """
import os
for folder in ("/root", "/tmp", "/var/tmp", "/build", "/app"):
    for at, _, files in os.walk(folder):
        print(*[f"{at}/{name}" for name in files if name.endswith(".whl") or "/pip" in at])
"""
# What the base image brings: pip, also that of venv, and files that run as their owner or group.
LEFT_BEHIND = """
import os
for at, folders, files in os.walk("/"):
    folders[:] = [each for each in folders if f"{at}{each}" not in ("/proc", "/sys", "/dev")]
    print(*[f"{at}/{each}" for each in folders if each in ("pip", "ensurepip")])
    for path in (f"{at}/{each}" for each in files):
        if not os.path.islink(path) and os.stat(path).st_mode & 0o6000:
            print(path)
"""
# What the user may write under /app.
WRITABLE = """
import os
print(os.getuid(), *[at for at, *_ in os.walk("/app") if os.access(at, os.W_OK)])
"""


def test_the_service_image_is_small() -> None:
    (base,) = re.findall(r"^ARG PYTHON=(.+)$", (ROOT / "docker/Dockerfile").read_text(), re.M)
    sizes = {name: inspect(name)["Size"] for name in (base, *ALL)}
    for name, size in sizes.items():
        print(f"{name}: {size / MB:,.0f} MB, {(size - sizes[base]) / MB:,.0f} MB over its base")
    assert sizes[SERVICE] - sizes[base] <= MOST


@pytest.mark.parametrize("image", [SERVICE, GPU])
def test_the_service_image_has_no_training_tests_or_tools(image: str) -> None:
    packages = ("torch", "torchvision", "sklearn", "matplotlib", "onnx", "pytest", "pip")
    ours = ("training", "export", "loadtest", "tests", "tools")
    programs = ("gcc", "cc", "c++", "make", "git", "curl")
    assert python(image, IMPORTED, *packages, *ours, "fastapi") == "fastapi"
    assert python(image, PROGRAMS, *programs, "python") == "python"


@pytest.mark.parametrize("image", ALL)
def test_no_image_contains_a_cache_of_pip(image: str) -> None:
    root = ("--rm", "--user=0", "--entrypoint=python")
    assert docker("run", *root, image, "-c", CACHES).split() == []


@pytest.mark.parametrize("image", ALL)
def test_no_image_contains_pip_or_programs_with_the_rights_of_another_user(image: str) -> None:
    root = ("--rm", "--user=0", "--entrypoint=python")
    assert docker("run", *root, image, "-c", LEFT_BEHIND).split() == []


def test_the_application_contains_only_what_the_service_needs() -> None:
    assert python(SERVICE, "import os; print(*sorted(os.listdir('/app')))").split() == [
        "contract",
        "docker",
        "preprocessing",
        "pyproject.toml",
        "service",
        "web",
    ]


def test_locust_contains_only_its_users_and_their_dependencies() -> None:
    reported = python(LOADTEST, "import os; print(*sorted(os.listdir('/app/loadtest')))")
    assert reported.split() == ["__init__.py", "arguments.py", "locustfile.py", "users"]


@pytest.mark.parametrize("image", ALL)
def test_every_image_runs_as_a_user_who_owns_no_files(image: str) -> None:
    assert inspect(image)["Config"]["User"] == "10001:10001"
    assert python(image, WRITABLE) == "10001"


@pytest.mark.parametrize("image", [SERVICE, GPU])
def test_the_service_process_receives_sigterm_directly(image: str) -> None:
    config = inspect(image)["Config"]
    assert config["Entrypoint"] == ["python", "-m", "service"]
    assert config["StopSignal"] == "SIGTERM"
    assert "/readyz" in (ROOT / "docker/healthcheck.py").read_text()
    assert config["Healthcheck"]["Test"][-1] == "/app/docker/healthcheck.py"


@pytest.mark.parametrize("image", [SERVICE, GPU, TRAINING])
def test_the_labels_have_the_title_and_the_commit(images: None, image: str) -> None:
    labels = inspect(image)["Config"]["Labels"]
    prefix = "org.opencontainers.image."
    assert labels[f"{prefix}title"] == image
    assert {f"{prefix}{name}" for name in ("version", "revision", "created", "licenses")} <= set(
        labels
    )


@pytest.mark.parametrize("image", [SERVICE, GPU])
def test_the_service_prints_the_version_of_its_label(images: None, image: str) -> None:
    version = inspect(image)["Config"]["Labels"]["org.opencontainers.image.version"]
    assert docker("run", "--rm", image, "--version") == f"digitserve {version}"


@pytest.mark.parametrize("image", ALL)
def test_no_image_reveals_a_secret(image: str) -> None:
    """Build arguments of the final stage are in the history of an image; those of pip must not."""
    reported = docker("history", "--no-trunc", "--format={{.CreatedBy}}", image)
    reported += json.dumps(inspect(image)["Config"])
    ours = "".join(line for line in reported.splitlines() if "stand-in" not in line)
    assert not re.findall(r"PIP_\w*INDEX|TOKEN|PASSWORD|API_KEY|SECRET|SIGNING", ours)


def test_env_files_and_local_data_are_not_sent_to_the_engine() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    taken = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert rules[0] == "*"
    assert not {".", ".env", ".git", "tests", "models", "runs", "data"} & taken


def test_a_gpu_image_without_a_gpu_falls_back_with_a_warning(stack: Stack) -> None:
    output = gpu_service(stack, "auto")
    assert "warning" in output["log"].lower()
    assert "libcuda.so.1" in output["log"]
    status = output["status"]
    assert (status["provider"], status["provider_fallback"]) == ("cpu", True)
    assert [each["what"] for each in status["engine"]["fallbacks"]] == ["provider"]
    assert "digitserve_provider_fallback 1.0" in output["metrics"]


def test_a_gpu_image_that_requires_a_gpu_fails_without_one(stack: Stack) -> None:
    done = tried(*gpu_command(stack, "cuda", "--rm"))
    assert done.returncode == 2
    assert "libcuda.so.1" in done.stdout  # the log includes the output of libraries
    assert "Traceback" not in done.stdout + done.stderr


def gpu_command(stack: Stack, provider: str, *options: str) -> tuple[str, ...]:
    models = f"--volume={stack.project}_models:/models:ro"
    variable = f"--env=DIGITSERVE_PROVIDER={provider}"
    return ("docker", "run", "--read-only", "--tmpfs=/tmp", models, variable, *options, GPU)


def gpu_service(stack: Stack, provider: str) -> dict[str, Any]:
    """The status, metrics and log of a service of the GPU image."""
    container = docker(*gpu_command(stack, provider, "--detach")[1:])
    read = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())"
    try:
        Stack.healthy(container)
        page = {
            name: docker("exec", container, "python", "-c", read, f"http://127.0.0.1:8000{path}")
            for name, path in {"status": "/v1/status", "metrics": "/metrics"}.items()
        }
        logs = tried("docker", "logs", container)
        return {**page, "status": json.loads(page["status"]), "log": logs.stdout + logs.stderr}
    finally:
        docker("rm", "--force", container)
