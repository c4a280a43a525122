"""Settings that are texts of a certain form: secrets, origins of pages, a collector's address."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr


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


Secret = Annotated[SecretStr, Field(min_length=16, max_length=1024), AfterValidator(_fits_a_header)]
Origin = Annotated[str, Field(pattern=r"^(\*|https?://[^/\s,]+)$")]
Address = Annotated[str, AfterValidator(_is_an_address)]
