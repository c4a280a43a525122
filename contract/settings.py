"""What several programs read from the environment: secrets, access to a store in a bucket, compose.

    DIGITSERVE_COMPOSE        set in the containers of docker-compose.yml: messages recommend
                              commands of compose, which run on the host, and not of make
    DIGITSERVE_MODELS_CACHE   folder for copies of versions; default: ~/.cache/digitserve
    AWS_ALLOW_HTTP            true: the endpoint may be http://; GOOGLE_, AZURE_ALLOW_HTTP likewise

obstore reads all other variables, such as AWS_ACCESS_KEY_ID, AWS_REGION and AWS_ENDPOINT_URL.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contract.location import ObjectUrl

TIMEOUT = 30.0  # seconds of a request, for programs that nobody waits for

# obstore ends with a panic where these cannot be sent: a PanicException is no Exception.
HEADER_VALUES = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION",
    "AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Access:
    cache: Path  # folder for copies of versions
    timeout: float = TIMEOUT  # seconds of a request, its repetitions included
    allow_http: bool = False
    serve_cached: bool = False  # the copy of the current version stands in for it in an outage


class SecretUnreadable(Exception):
    """The message names the variable and says what to do."""


def secret_in(variables: Mapping[str, str], name: str) -> str | None:
    """The value of a variable, or the content of the file that the variable <name>_FILE names."""
    path = variables.get(f"{name}_FILE")
    if not path:
        return variables.get(name)
    if variables.get(name):
        raise SecretUnreadable(f"{name} and {name}_FILE are both set: unset one of them")
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SecretUnreadable(f"{name}_FILE={path} cannot be read: {reason}") from error


def access_from_environment(url: ObjectUrl) -> Access:
    cache = os.environ.get("DIGITSERVE_MODELS_CACHE")
    return Access(cache=Path(cache) if cache else default_cache(), allow_http=allows_http(url))


def default_cache() -> Path:
    return Path.home() / ".cache" / "digitserve"


def allows_http(url: ObjectUrl) -> bool:
    return os.environ.get(url.allow_http, "").lower() in ("1", "true")


def malformed_credential() -> str | None:
    """The name of a variable whose value cannot be part of a request; None: there is none."""
    values = ((name, os.environ.get(name, "")) for name in HEADER_VALUES)
    return next((name for name, value in values if not re.fullmatch("[ -~]*", value)), None)


# ---- the commands that messages recommend --------------------------------------------------------

_TRAINER = "docker compose run --rm trainer"  # trains and exports


def export_command() -> str:
    return _either("make export", _TRAINER)


def train_command() -> str:
    return _either("make train", _TRAINER)


def worker_command() -> str:
    return _either("make worker", "docker compose --profile retraining up")


def contract_command(words: str) -> str:
    return f"{_either('', 'docker compose exec service ')}python -m contract {words}"


def gpu_installation() -> str:
    """How to get an ONNX Runtime for GPUs."""
    return _either(
        "make an environment with the group `gpu` of pyproject.toml in place of `serve` "
        "(docs/how-to/gpu.md); onnxruntime and onnxruntime-gpu must never be in one",
        "docker compose -f docker-compose.yml -f docker-compose.gpu.yml up (docs/how-to/docker.md)",
    )


def example_of_jobs() -> str:
    """A value of DIGITSERVE_JOBS."""
    return f"sqlite:///{_either('/var/lib/digitserve', '/jobs')}/jobs.sqlite"


def mnist_command() -> str:
    return _either("MNIST_DIR=/path/to/mnist make demo", f"MNIST_DIR=/path/to/mnist {_TRAINER}")


def _either(make: str, compose: str) -> str:
    return compose if os.environ.get("DIGITSERVE_COMPOSE") else make
