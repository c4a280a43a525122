"""Every setting of the service, each read once, at start, from DIGITSERVE_<NAME>.

Secrets are also read from the file that DIGITSERVE_<NAME>_FILE names, or from a Docker secret of
that name in lower case. A value outside its bounds is refused by name before the port opens. Times
are seconds.
"""

import os
import re
import socket
from collections.abc import Collection
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from contract.cgroup import available_cores
from contract.jobs import check_database
from contract.location import Location, location_of
from contract.settings import Access, SecretUnreadable, allows_http, default_cache, secret_in
from contract.store import NAME, keys_of
from service.engine.info import RequestedPrecision, RequestedProvider
from service.errors import CannotStart

PREFIX = "DIGITSERVE_"
SECRET_FILES = Path("/run/secrets")  # of Docker; variables override them
# Of a default that depends on other settings, where one of those is wrong and named already.
NOT_CALLED = "default_factory_not_called"
SECRETS = {"admin_token", "api_keys", "jobs"}
HIDDEN = SECRETS | {"otlp_endpoint", "models"}  # never shown: a wrong address may hold a secret
SHORTEST_SECRET, LONGEST_SECRET = 16, 1024  # characters

UNIX = "unix"  # as a trusted proxy: every peer of DIGITSERVE_UDS

TrustedProxy = IPv4Network | IPv6Network | str  # "unix" is the only string


def _fits_a_header(secret: SecretStr) -> SecretStr:
    length = len(secret.get_secret_value())
    if not SHORTEST_SECRET <= length <= LONGEST_SECRET:
        raise ValueError(
            f"it must have at least {SHORTEST_SECRET} and at most {LONGEST_SECRET} characters, "
            f"not {length}"
        )
    if not re.fullmatch(r"[!-~]+", secret.get_secret_value()):
        raise ValueError("only printable ASCII without blanks can be sent in a header")
    return secret


def _is_an_address(url: str) -> str:
    """It is logged, so nothing secret may be in it."""
    if not re.fullmatch(r"https?://[^/\s@?#]+(/[^\s?#]*)?", url):
        raise ValueError(
            "a collector's address looks like http://collector:4318; put credentials into "
            "OTEL_EXPORTER_OTLP_HEADERS"
        )
    return url


def _is_a_database(url: SecretStr) -> SecretStr:
    check_database(url.get_secret_value())
    return url


def _is_a_prefix(path: str) -> str:
    if not re.fullmatch(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*", path):
        raise ValueError("a prefix looks like /digits: it begins with / and does not end with it")
    return path


def _is_a_url(url: str) -> str:
    if not re.fullmatch(r"https?://[^/\s@?#]+(/[^\s?#]*)?", url):
        raise ValueError("an address looks like http://127.0.0.1:8000 or https://host/digits")
    return url.rstrip("/")


def _has_a_port(peer: str) -> str:
    """A name or address with a port; brackets around an IPv6 address."""
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253}):([0-9]{1,5})", peer)
    if found is None or not 0 < int(found[2]) < 2**16:
        raise ValueError("a peer is a name or an address with a port, as service:8000")
    return peer


def _proxy(text: object) -> object:
    """A network, also of one address, or the word for Unix sockets."""
    if text == UNIX or not isinstance(text, str):
        return text
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(
            f"{error}; name addresses, networks such as 10.0.0.0/8, or {UNIX}"
        ) from None


RootPath = Annotated[str, AfterValidator(_is_a_prefix)]
Proxy = Annotated[TrustedProxy, BeforeValidator(_proxy)]
Secret = Annotated[SecretStr, AfterValidator(_fits_a_header)]
Origin = Annotated[str, Field(pattern=r"^(\*|https?://[^/\s,]+)$")]
Address = Annotated[str, AfterValidator(_is_an_address)]
PublicUrl = Annotated[str, AfterValidator(_is_a_url)]
Peer = Annotated[str, AfterValidator(_has_a_port)]
ReplicaName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Database = Annotated[SecretStr, AfterValidator(_is_a_database)]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True)

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="0 takes any free one")
    uds: Path | None = Field(
        None, description="path of a Unix socket to listen on instead of HOST and PORT"
    )
    root_path: RootPath = Field(
        "", description="prefix that a proxy publishes the service under and removes, as /digits"
    )
    public_url: PublicUrl | None = Field(
        None,
        description="address at which clients reach the service, for the example in the log, as "
        "http://127.0.0.1:8000; unset: the one that it listens on",
    )
    trusted_proxies: Annotated[tuple[Proxy, ...], NoDecode] = Field(
        (),
        description="addresses and networks, separated by commas, whose X-Forwarded-For and "
        "X-Forwarded-Proto are trusted; unix: the peers of UDS; unset: none",
    )
    replica: ReplicaName | None = Field(
        None, description="name of this replica in /v1/status and on the page; unset: the host name"
    )
    peers: Annotated[tuple[Peer, ...], NoDecode] = Field(
        (),
        description="all replicas, as service:8000, a name with an address for each, or several "
        "names separated by commas; /v1/live and the page then sum over them; unset: none",
    )
    models: Annotated[Location, NoDecode, BeforeValidator(location_of)] = Field(
        Path("models"),
        description="the model store: a folder, s3://bucket/prefix, gs://bucket/prefix or "
        "az://container/prefix",
    )
    models_cache: Path | None = Field(
        None,
        description="folder for copies of versions, if the store is no folder; unset: "
        "~/.cache/digitserve",
    )
    model: str = Field("digits", pattern=NAME, description="name of the model in the store")
    provider: RequestedProvider = Field(
        "auto", description="auto, cpu, cuda or tensorrt; auto: cuda where it works, else cpu"
    )
    precision: RequestedPrecision = Field(
        "auto", description="auto, fp32, fp16 or int8; auto: fp16 on a GPU if it lost nothing by it"
    )
    tensorrt_cache: Path | None = Field(
        None, description="folder for the engines that TensorRT builds; unset: built at each start"
    )
    workers: int = Field(
        1, ge=1, le=64, description="processes that serve the port, each with a model of its own"
    )
    supervise: bool = Field(
        False,
        description="true: a supervisor also watches a single worker and replaces it when it ends "
        "or hangs; several always have one",
    )
    hang_timeout: float = Field(
        30.0,
        ge=2,
        le=3600,
        description="seconds without a report after which the supervisor kills a worker and starts "
        "another",
    )
    threads: int = Field(
        default_factory=lambda others: max(1, available_cores() // others.get("workers", 1)),
        ge=1,
        le=256,
        description="CPU threads of one model call; default: available cores / WORKERS",
    )
    max_batch: int = Field(64, ge=1, le=4096, description="maximum images in one model call")
    max_batch_seconds: float = Field(
        0.1,
        gt=0,
        le=60,
        description="maximum time (s) of one model call: a slow model gets smaller batches than "
        "MAX_BATCH, at least of one image",
    )
    max_wait: float = Field(
        0.0, ge=0, le=1, description="maximum time (s) to wait for a fuller batch"
    )
    max_queue: int = Field(
        1024, ge=1, le=1_000_000, description="maximum queued images; further requests get 503"
    )
    max_queue_bytes: int = Field(
        256 * 2**20,
        ge=2**20,
        le=2**40,
        description="maximum bytes of queued images: limits the queue of large images further than "
        "MAX_QUEUE, and one request to a quarter of it; a full batch always fits",
    )
    max_pictures: int = Field(
        256, ge=1, le=4096, description="maximum images in one request; more get 413, under /v2 400"
    )
    max_parts: int = Field(
        300, ge=1, le=10_000, description="maximum parts of a multipart body; more get 413"
    )
    max_json_depth: int = Field(
        32,
        ge=4,
        le=512,
        description="maximum depth of nested lists and objects in JSON; deeper gets 400",
    )
    max_header: int = Field(
        16 * 2**10, ge=1024, le=2**20, description="maximum bytes of a request's head; more get 431"
    )
    max_connections: int = Field(
        4096,
        ge=1,
        le=1_000_000,
        description="maximum connections of a worker; further ones get 503",
    )
    keep_alive: float = Field(
        75.0,
        gt=0,
        le=3600,
        description="seconds a connection may be idle between requests; set it above the idle "
        "timeout of the proxy in front",
    )
    max_watchers: int = Field(
        16,
        ge=0,
        le=10_000,
        description="maximum streams of /v1/live from a worker, and as many of jobs' events; "
        "further ones get 503; 0: none, 403",
    )
    max_buffered: int = Field(
        256 * 2**20,
        ge=2**20,
        le=2**40,
        description="maximum bytes that a worker buffers for clients: requests that arrive or "
        "wait, and responses that are not yet read; further requests get 503",
    )
    watch_seconds: float = Field(
        1.0,
        ge=0,
        le=3600,
        description="seconds between checks of which version is current; 0: never",
    )
    store_timeout: float = Field(
        5.0,
        gt=0,
        le=300,
        description="timeout (s) of a read of the model store; after it 503, or no start",
    )
    memory_reserve: int = Field(
        256 * 2**20,
        ge=0,
        le=2**50,
        description="minimum free memory (bytes); below it the previous model is unloaded",
    )
    load_timeout: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="timeout (s) to load and prove a version, which is refused after it; TensorRT "
        "needs 600",
    )
    load_memory: int | None = Field(
        None,
        ge=64 * 2**20,
        le=2**50,
        description="maximum memory (bytes) to load and prove a version, which is refused above "
        "it; unset: free memory minus MEMORY_RESERVE, at most 1 GiB or 4 times its "
        "largest file",
    )
    trusted_keys: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="public keys, separated by commas; only versions signed with one of them are "
        "served",
    )
    api_keys: Annotated[tuple[Secret, ...], NoDecode] = Field(
        (),
        description="API keys, separated by commas; if set, every request must present one",
    )
    cors_origins: Annotated[tuple[Origin, ...], NoDecode] = Field(
        (),
        description="origins, separated by commas, whose pages may call the API; *: any; unset: "
        "none",
    )
    admin_token: Secret | None = Field(
        None,
        description="bearer token of the admin routes, at least 16 characters; unset: they are "
        "disabled",
    )
    request_timeout: float = Field(
        5.0,
        gt=0,
        le=300,
        description="seconds from a request's head to its response, then 504; also the timeout of "
        "the head",
    )
    max_body: int = Field(
        10 * 2**20, ge=1, le=2**30, description="maximum bytes of a request body; more get 413"
    )
    max_pixels: int = Field(
        16_000_000,
        ge=784,
        le=2**28,
        description="maximum pixels decoded from an image: its width times its height, less for a "
        "JPEG, which is reduced while it is decoded; more get 413",
    )
    max_request_pixels: int = Field(
        256_000_000,
        ge=784,
        le=2**34,
        description="maximum pixels of all images in a request; more get 413",
    )
    max_decoding: int = Field(
        320 * 2**20,
        ge=64 * 2**20,
        le=2**40,
        description="maximum memory (bytes) that a worker decodes images with; others wait, and an "
        "image that needs more alone gets 413",
    )
    drain_seconds: float = Field(
        5.0, ge=0, le=300, description="seconds from SIGTERM until the port closes"
    )
    jobs: Database | None = Field(
        None,
        description="database that the retraining worker uses: sqlite:////path/jobs.sqlite or "
        "postgresql://user:password@host/name; unset: no /v1/retrain",
    )
    max_jobs: int = Field(
        10, ge=1, le=1000, description="maximum retraining jobs that wait; further ones get 503"
    )
    runs: Path | None = Field(
        None, description="folder of training runs that /v1/runs shows; unset: none"
    )
    feedback: Path | None = Field(
        None, description="folder of the corrections that users send; unset: none are accepted"
    )
    feedback_review: Literal["all", "suspicious"] = Field(
        "suspicious",
        description="corrections that wait until an admin accepts them: all, or suspicious and "
        "disputed ones",
    )
    feedback_max: int = Field(
        10_000,
        ge=1,
        le=1_000_000,
        description="maximum corrections in FEEDBACK, accepted and waiting; more get 507. As many "
        "rejected ones are kept",
    )
    feedback_bytes: int = Field(
        256 * 2**20,
        ge=2**16,
        le=2**40,
        description="maximum bytes of the corrections in FEEDBACK, accepted and waiting; more get "
        "507. As many of rejected ones are kept",
    )
    feedback_rate: int = Field(
        120,
        ge=1,
        le=100_000,
        description="maximum corrections a minute of one API key, or of one address (IPv6: /64) "
        "where there are no keys, by each worker; more get 429",
    )
    feedback_days: int = Field(
        365, ge=1, le=36_500, description="days after which a correction is deleted"
    )
    otlp_endpoint: Address | None = Field(
        None,
        description="collector of OpenTelemetry traces, as http://collector:4318; unset: none",
    )
    trace_sample: float = Field(
        0.01, ge=0, le=1, description="fraction of requests traced where the caller does not decide"
    )
    trace_limit: int = Field(
        100, ge=1, le=10_000, description="maximum requests a second that a worker traces"
    )
    access_log: Literal["off", "sampled", "all"] = Field(
        "sampled", description="a log line a request: off, sampled (at most 10 a second) or all"
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="auto, json or text; auto: text on a terminal, else json"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="debug, info, warning or error"
    )

    @field_validator("trusted_keys", mode="before")
    @classmethod
    def _between_commas(cls, text: object) -> object:
        return keys_of(text) if isinstance(text, str) else text

    @field_validator("feedback", mode="before")
    @classmethod
    def _named(cls, path: object) -> object:
        if path == "":  # which would be the current folder
            raise ValueError("it is set and names no folder: unset it")
        if "://" in str(path):  # which would be a folder named s3:
            raise ValueError("corrections are kept in a folder, not at a URL")
        return path

    @field_validator("api_keys", "cors_origins", "peers", "trusted_proxies", mode="before")
    @classmethod
    def _listed(cls, text: object) -> object:
        if not isinstance(text, str):
            return text
        parts = tuple(part.strip() for part in text.split(",") if part.strip())
        if not parts:  # a secret that went missing on the way must not open the door
            raise ValueError("it is set and names none: unset it")
        return parts

    @model_validator(mode="after")
    def _waiting_leaves_time_to_answer(self) -> Self:
        if self.max_wait > self.request_timeout / 2:
            raise ValueError(
                f"{PREFIX}MAX_WAIT={self.max_wait:g} must be at most half of "
                f"{PREFIX}REQUEST_TIMEOUT={self.request_timeout:g}"
            )
        return self

    @property
    def replica_name(self) -> str:
        return self.replica or re.sub("[^A-Za-z0-9._-]", "-", socket.gethostname())[:64] or "-"

    @property
    def max_request_bytes(self) -> int:
        """Of the images of one request, as the model takes them, unless a batch is larger.

        So many are also kept by all requests that are being decoded, and by all that are compared.
        """
        return self.max_queue_bytes // 4

    @property
    def access(self) -> Access | None:
        """To the bucket of the model store; None: it is a folder."""
        if isinstance(self.models, Path):
            return None
        return Access(
            cache=self.models_cache or default_cache(),
            timeout=self.store_timeout,
            allow_http=allows_http(self.models),
            serve_cached=True,
        )

    @property
    def versions(self) -> Path:
        """The folder of the model's versions, or of the copies of them."""
        if isinstance(self.models, Path):
            return self.models / self.model
        return self.models.copies_in(self.models_cache or default_cache()) / self.model

    @classmethod
    def from_environment(cls, flags: Collection[str] = ()) -> Self:
        """The settings, or CannotStart with a line for each that is wrong.

        `flags` are the variables that flags of the command line have set, which errors name.
        """
        variables = {name: PREFIX + name.upper() for name in SECRETS}
        try:
            found = {name: secret_in(os.environ, each) for name, each in variables.items()}
            given: dict[str, Any] = {name: text for name, text in found.items() if text is not None}
            files = SECRET_FILES if SECRET_FILES.is_dir() else None
            return cls(_secrets_dir=files, **given)  # type: ignore[call-arg]  # the rest: see above
        except SecretUnreadable as error:
            raise CannotStart(str(error)) from error
        except ValidationError as error:
            wrong = [each for each in error.errors() if each["type"] != NOT_CALLED]
            raise CannotStart("\n".join(_sentence(each, flags) for each in wrong)) from error


def flag_of(name: str) -> str:
    return "--" + name.replace("_", "-")


def _sentence(wrong: ErrorDetails, flags: Collection[str]) -> str:
    message = wrong["msg"].removeprefix("Value error, ")
    if not wrong["loc"]:  # of several settings together, which the message names
        return message
    name = str(wrong["loc"][0])
    variable = PREFIX + name.upper()
    value = "..." if name in HIDDEN else wrong["input"]
    given = f"{flag_of(name)} {value}" if variable in flags else f"{variable}={value}"
    return f"{given}: {message}"
