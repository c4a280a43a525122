"""Settings of a certain form: secrets, origins, addresses, the prefix of the service."""

import re
from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from service.forwarded import UNIX, TrustedProxy


def _fits_a_header(secret: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]+", secret.get_secret_value()):
        raise ValueError("only printable ASCII without blanks can be sent in a header")
    return secret


def _is_an_address(url: str) -> str:
    """It is logged, so nothing secret may be in it."""
    if not re.fullmatch(r"https?://[^/\s@?#]+(/[^\s?#]*)?", url):
        raise ValueError(
            "a collector's address looks as http://collector:4318; what it is to know who sends by "
            "goes into OTEL_EXPORTER_OTLP_HEADERS"
        )
    return url


def _is_a_prefix(path: str) -> str:
    if not re.fullmatch(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*", path):
        raise ValueError("a prefix looks like /digits: it begins with / and does not end with it")
    return path


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
Secret = Annotated[SecretStr, Field(min_length=16, max_length=1024), AfterValidator(_fits_a_header)]
Origin = Annotated[str, Field(pattern=r"^(\*|https?://[^/\s,]+)$")]
Address = Annotated[str, AfterValidator(_is_an_address)]
