"""How programs reach a model store in a bucket, from the environment.

    DIGITSERVE_MODELS_CACHE   folder for copies of versions; default: ~/.cache/digitserve
    AWS_ALLOW_HTTP            true: the endpoint may be http://; GOOGLE_, AZURE_ALLOW_HTTP likewise

obstore reads all other variables, such as AWS_ACCESS_KEY_ID, AWS_REGION and AWS_ENDPOINT_URL.
"""

import os
import re
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
