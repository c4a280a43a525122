"""Which packages may import which. To learn or change the architecture, read or edit this file."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# package: everything besides itself and the standard library that it may import
MAY_IMPORT = {
    # lazily: cryptography where versions are signed, dbos and sqlalchemy in job_*, obstore in
    # bucket
    "contract": {"cryptography", "dbos", "obstore", "pydantic", "sqlalchemy"},
    "preprocessing": {"PIL", "contract", "cv2", "numpy"},
    # optuna and its sqlalchemy only in sweep, which only that command imports
    "training": {
        "PIL", "contract", "cv2", "matplotlib", "numpy", "optuna", "preprocessing", "pydantic",
        "rich", "scipy", "sklearn", "sqlalchemy", "torch", "torchvision",
    },
    # of training only a few modules: see EXPORT_MAY_USE
    "export": {
        "PIL", "contract", "cv2", "numpy", "onnx", "onnxruntime", "preprocessing", "scipy",
        "torch", "training",
    },
    "service": {
        "brotli", "contract", "cv2", "fastapi", "fastapi_offline", "multipart", "numpy",
        "onnxruntime", "opentelemetry", "orjson", "preprocessing", "prometheus_client", "pydantic",
        "pydantic_core", "pydantic_settings", "pynvml", "requests", "starlette",
        "uvicorn",
    },
    # It starts training and export as programs.
    "retraining": {"contract", "dbos", "pydantic", "sqlalchemy"},
    # Uses HTTP, and of our packages only preprocessing and contract.command_line. cv2, onnxruntime
    # and uvicorn are baselines for the service; locust, its dependencies (gevent, flask) and PIL
    # are for users/, matplotlib, orjson and scipy for reports; the rest is for peers/, which runs
    # in separate environments.
    "loadtest": {
        "PIL", "bentoml", "contract", "cv2", "fastapi", "flask", "gevent", "litserve", "locust",
        "matplotlib", "mosec", "numpy", "onnxruntime", "orjson", "preprocessing",
        "prometheus_client", "psutil", "scipy", "starlette", "uvicorn", "uvloop",
    },
    "deploy": {"grafana_foundation_sdk", "ray", "service", "starlette"},  # for Ray
}  # fmt: skip
# training.run is the format of the run folder that both programs share; it builds its network.
# training.evaluate and corruptions measure, so that both programs measure the same. data,
# checkpoint and vision read images and weights of models that come without a run.
EXPORT_MAY_USE = {
    "training.checkpoint", "training.corruptions", "training.data", "training.evaluate",
    "training.idx", "training.model", "training.networks", "training.run", "training.settings",
}  # fmt: skip

WITHOUT_TORCH = ("contract", "loadtest", "service", "support", "system")

PACKAGES = [name for name in MAY_IMPORT if (ROOT / name).is_dir()]


def imports_of(package: str) -> Iterator[str]:
    """Dotted names of everything imported anywhere inside `package`, functions included."""
    for source in (ROOT / package).rglob("*.py"):
        yield from imports_in(source)


def imports_in(source: Path) -> Iterator[str]:
    """`from a import b` counts as a and as a.b, which may be a module."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_for(package: str) -> set[str]:
    """Dotted names of all that tests in `package` import, directly or through other tests."""
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
def test_a_package_imports_only_what_the_architecture_allows(package: str) -> None:
    imported = {name.partition(".")[0] for name in imports_of(package)}
    assert imported - {package} - sys.stdlib_module_names <= MAY_IMPORT[package]


def test_only_the_database_of_jobs_and_the_worker_import_dbos() -> None:
    users = {
        source.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for source in (ROOT / package).rglob("*.py")
        if "dbos" in {name.partition(".")[0] for name in imports_in(source)}
    }
    modules = {"job_connection.py", "job_database.py"}
    assert users == {*(f"contract/{name}" for name in modules), "retraining/workflow.py"}


def test_optuna_is_imported_only_where_a_sweep_is_run() -> None:
    """Its packages are optional."""
    code = "import sys, training.__main__; sys.exit('optuna' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_only_the_bucket_imports_obstore_and_only_for_stores_in_buckets() -> None:
    """It is optional."""
    users = {
        source.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for source in (ROOT / package).rglob("*.py")
        if "obstore" in {name.partition(".")[0] for name in imports_in(source)}
    }
    assert users == {"contract/bucket.py"}
    code = "import sys, service.app, contract.__main__; sys.exit('obstore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_database_of_jobs_is_imported_only_where_jobs_are_used() -> None:
    """Its packages are optional."""
    code = "import sys, service.app, contract.__main__; sys.exit('dbos' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_service_does_not_import_torch() -> None:
    assert not MAY_IMPORT["service"] & {"torch", "training", "export", "sklearn", "matplotlib"}


@pytest.mark.parametrize(
    "tests", ["tests/service", "tests/system", "tests/loadtest", "tests/contract"]
)
def test_tests_of_packages_without_pytorch_do_not_need_it(tests: str) -> None:
    """They use the committed version: see tests/fixtures."""
    imported = {name.partition(".")[0] for name in imported_for(tests)}
    assert imported & {"service", "contract"}
    assert not imported & {"torch", "torchvision", "training", "export"}


def test_export_uses_only_the_run_format_of_training() -> None:
    used = {name for name in imports_of("export") if name.startswith("training")}
    assert {".".join(name.split(".")[:2]) for name in used} == EXPORT_MAY_USE


def test_every_package_is_in_the_architecture() -> None:
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "tools"}
    assert found == set(PACKAGES) >= {"contract", "training", "export", "service"}


@pytest.mark.parametrize("program", ["contract", "training", "export", "retraining", "service"])
def test_only_the_settings_and_the_commands_read_the_environment(program: str) -> None:
    readers = {
        source.name
        for source in (ROOT / program).rglob("*.py")
        if "os.environ" in source.read_text() or "getenv" in source.read_text()
    }
    # __init__.py writes one variable: see test_telemetry_of_onnx_runtime_is_disabled
    assert readers <= {"__main__.py", "settings.py", "__init__.py"}


@pytest.mark.parametrize(
    "program", ["export.runners", "loadtest.bench.limits", "service.engine.engine"]
)
def test_telemetry_of_onnx_runtime_is_disabled(program: str) -> None:
    """It stores an identifier of the machine at import, and logs an error if it cannot."""
    code = f"import os, {program}; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    homeless = {"HOME": "/proc/nobody", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=homeless, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("1\n", "")
