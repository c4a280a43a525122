"""Who may import whom. Read this file to learn the architecture; break it to change it."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# package: everything beside itself and the standard library that it may import
MAY_IMPORT = {
    # cryptography only where versions are signed, and nobody imports it before that
    "contract": {"pydantic", "cryptography"},
    "preprocessing": {"PIL", "contract", "cv2", "numpy"},
    "training": {
        "PIL", "contract", "matplotlib", "numpy", "preprocessing", "pydantic", "rich", "sklearn",
        "torch", "torchvision",
    },
    # of training only what describes a run and builds its network: see EXPORT_MAY_USE
    "export": {
        "contract", "preprocessing", "training", "PIL", "numpy", "onnx", "onnxruntime", "torch",
    },
    "service": {
        "contract", "cv2", "fastapi", "fastapi_offline", "httptools", "multipart", "numpy",
        "onnxruntime", "opentelemetry", "orjson", "preprocessing", "prometheus_client", "pydantic",
        "pydantic_core", "pydantic_settings", "pynvml", "requests", "starlette", "uvicorn",
    },
    # Speaks HTTP, knows nobody but preprocessing. cv2, onnxruntime and uvicorn are the limits that
    # the service is held against; locust, what it is made of (gevent, flask) and PIL are for
    # users/, matplotlib, orjson and scipy for reports; the rest is for peers/, which runs in
    # environments of its own.
    "loadtest": {
        "PIL", "bentoml", "cv2", "fastapi", "flask", "gevent", "litserve", "locust", "matplotlib",
        "mosec", "numpy", "onnxruntime", "orjson", "preprocessing", "prometheus_client", "psutil",
        "scipy", "starlette", "uvicorn",
    },
    "deploy": {"grafana_foundation_sdk"},  # writes configuration
}  # fmt: skip
# training.run is the format of the folder that the two programs meet on; it builds its network.
EXPORT_MAY_USE = {"training.model", "training.run"}

WITHOUT_TORCH = ("contract", "loadtest", "service", "support", "system")

PACKAGES = [name for name in MAY_IMPORT if (ROOT / name).is_dir()]


def imports_of(package: str) -> Iterator[str]:
    """Dotted names of all that is imported anywhere inside `package`, functions included."""
    for source in (ROOT / package).rglob("*.py"):
        yield from imports_in(source)


def imports_in(source: Path) -> Iterator[str]:
    """`from a import b` is a and a.b, which may be a module."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_for(package: str) -> set[str]:
    """Dotted names of all that tests in `package` import, themselves or through other tests."""
    sources = {*(ROOT / package).rglob("*.py"), ROOT / "tests/conftest.py"}
    names: set[str] = set()
    seen: set[Path] = set()
    while waiting := sources - seen:
        seen |= waiting
        names |= {name for source in waiting for name in imports_in(source)}
        paths = (
            ROOT / name.replace(".", "/") for name in names if name.startswith(("tests.", "tools."))
        )
        sources |= {
            file
            for path in paths
            for file in (path.with_suffix(".py"), path / "__init__.py")
            if file.exists()
        }
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_stay_inside_the_architecture(package: str) -> None:
    imported = {name.partition(".")[0] for name in imports_of(package)}
    assert imported - {package} - sys.stdlib_module_names <= MAY_IMPORT[package]


def test_the_service_holds_no_torch() -> None:
    assert not MAY_IMPORT["service"] & {"torch", "training", "export", "sklearn", "matplotlib"}


@pytest.mark.parametrize(
    "tests", ["tests/service", "tests/system", "tests/loadtest", "tests/contract"]
)
def test_tests_of_what_runs_without_pytorch_need_none(tests: str) -> None:
    """They serve the committed version: see tests/fixtures."""
    imported = {name.partition(".")[0] for name in imported_for(tests)}
    assert imported & {"service", "contract"}
    assert not imported & {"torch", "torchvision", "training", "export"}


def test_export_knows_of_training_only_what_a_run_is() -> None:
    used = {name for name in imports_of("export") if name.startswith("training")}
    assert {".".join(name.split(".")[:2]) for name in used} == EXPORT_MAY_USE


def test_every_package_is_in_the_architecture() -> None:
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "tools"}
    assert found == set(PACKAGES) >= {"contract", "training", "export", "service"}


@pytest.mark.parametrize("program", ["contract", "training", "export", "service"])
def test_only_the_settings_and_the_commands_read_the_environment(program: str) -> None:
    readers = {
        source.name
        for source in (ROOT / program).rglob("*.py")
        if "os.environ" in source.read_text() or "getenv" in source.read_text()
    }
    # __init__.py writes one variable: see test_onnx_runtime_is_told_to_report_nothing
    assert readers <= {"__main__.py", "settings.py", "__init__.py"}


@pytest.mark.parametrize(
    "program", ["export.runners", "loadtest.bench.limits", "service.engine.engine"]
)
def test_onnx_runtime_is_told_to_report_nothing(program: str) -> None:
    """It keeps an identifier of the machine from when it is imported, and says if it cannot."""
    code = f"import os, {program}; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    homeless = {"HOME": "/proc/nobody", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=homeless, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("1\n", "")
