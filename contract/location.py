"""Where a model store is: a folder, or a prefix in a bucket of an object store.

    models                   a folder
    s3://bucket/prefix       Amazon S3, or another server with its API
    gs://bucket/prefix       Google Cloud Storage
    az://container/prefix    Azure Blob Storage

Credentials, region and endpoint come from the environment variables that each provider defines. A
URL that holds any of them is refused, because URLs are logged.
"""

import re
from argparse import ArgumentTypeError
from dataclasses import dataclass
from pathlib import Path

from contract.errors import StoreError

_URL = re.compile(r"(s3|gs|az)://([a-z0-9][a-z0-9._-]{1,61}[a-z0-9])((?:/[A-Za-z0-9][\w.=-]*)*)/?")


class BadLocation(StoreError, ArgumentTypeError, ValueError):
    """The text names no model store. The message does not repeat it: it may hold a password."""


@dataclass(frozen=True)
class ObjectUrl:
    scheme: str  # s3, gs or az
    bucket: str
    prefix: str = ""  # without slashes around it; "": the whole bucket

    def __str__(self) -> str:
        return f"{self.scheme}://{'/'.join(filter(None, (self.bucket, self.prefix)))}"

    def copies_in(self, cache: Path) -> Path:
        """The folder in `cache` for copies from this store."""
        return cache / self.scheme / self.bucket / self.prefix

    @property
    def allow_http(self) -> str:
        """The environment variable that allows an endpoint without TLS."""
        provider = {"s3": "AWS", "gs": "GOOGLE", "az": "AZURE"}[self.scheme]
        return f"{provider}_ALLOW_HTTP"


Location = Path | ObjectUrl


def location_of(text: object) -> Location:
    """The folder or the prefix that `text` names; BadLocation if it is another kind of URL."""
    if isinstance(text, Path | ObjectUrl):
        return text
    text = str(text)
    if "://" not in text:
        return Path(text)
    if text.startswith("file://"):
        raise BadLocation("a model store on a disk is named by its folder, without file://")
    found = _URL.fullmatch(text)
    if not found:
        raise BadLocation(
            "a model store is a folder, s3://bucket/prefix, gs://bucket/prefix or "
            "az://container/prefix; credentials, region and endpoint go into the provider's "
            "environment variables"
        )
    scheme, bucket, prefix = found.groups()
    return ObjectUrl(scheme, bucket, prefix.strip("/"))
