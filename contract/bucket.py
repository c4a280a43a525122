"""Objects under a prefix of a bucket: the only module that imports obstore.

    get, get_if_changed    one object, whole; the second one with If-None-Match
    download               one object into a file, verified while it arrives
    upload                 files, several at a time
    create                 only if no object has that key (If-None-Match: *)
    replace                only if the object is still the one that was read (If-Match)
    folders, keys          listings; all other reads do without the permission to list

Every failure is a StoreError in a sentence that names the object, and never a credential. Keys are
relative to the prefix. A request ends within the timeout, repetitions included; downloads and
uploads may take longer, as long as SLOWEST bytes a second are transferred on average.
"""

import logging
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from contract.card import FileFacts
from contract.errors import AccessDenied, BrokenVersion, MissingObject, StoreError, Unreachable
from contract.location import ObjectUrl
from contract.settings import malformed_credential

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

SLOWEST = 100_000  # bytes a second
PART = 5 * 2**20  # bytes of a request of an upload; S3 accepts no less
PARALLEL = 8  # uploads
ENDLESS = timedelta(days=1)  # for a download, which `download` limits
# obstore writes REDACTED for a URL with a signature.
_ATTEMPTS = re.compile(r".*Error performing \w+ (?:(https?://[^/\s]+)\S*|REDACTED) in .* - ")
LONGEST_REASON = 300  # characters
_DENIED = re.compile(r"status code: 40[13]|not have the necessary privileges|authenticat", re.I)
NO_BUCKET = ("NoSuchBucket", "ContainerNotFound")  # codes in the response


log = logging.getLogger(__name__)


class Revision(NamedTuple):
    """Identifies an object among those that replace it: providers compare one or the other."""

    etag: str | None
    generation: str | None


class Found(NamedTuple):
    content: bytes
    revision: Revision


class Bucket:
    def __init__(self, url: ObjectUrl, *, timeout: float, allow_http: bool) -> None:
        """Raises a StoreError if obstore is missing, or the environment's settings are wrong."""
        self._url, self._allow_http = url, allow_http
        self._timeout = timeout
        # After a quarter nothing is repeated, and a request takes half: both fit into the timeout.
        self._retries: RetryConfig = {
            "max_retries": 3,
            "retry_timeout": timedelta(seconds=timeout / 4),
            "backoff": {
                "init_backoff": timedelta(seconds=min(0.1, timeout / 20)),
                "max_backoff": timedelta(seconds=timeout / 10),
                "base": 2,
            },
        }
        longest = timedelta(seconds=timeout / 2)
        self._small = self._opened({"connect_timeout": longest, "timeout": longest})
        self._large = self._opened(
            {"connect_timeout": longest, "read_timeout": longest, "timeout": ENDLESS}
        )
        # Not a read_timeout: no response arrives before the request is complete.
        slow = longest + timedelta(seconds=PARALLEL * PART / SLOWEST)
        self._uploads = self._opened({"connect_timeout": longest, "timeout": slow})
        self._left_out: set[str] = set()  # folders that a warning has named

    def get(self, key: str, most: int) -> Found:
        """An object of at most `most` bytes; MissingObject if there is none."""
        found = self._get(key, most, None)
        assert found is not None, "without an ETag nothing is unchanged"
        return found

    def get_if_changed(self, key: str, most: int, known: Revision | None) -> Found | None:
        """The same; None if it is still the one that is known."""
        return self._get(key, most, known.etag if known else None)

    def download(self, key: str, path: Path, facts: FileFacts) -> None:
        """Write an object to a new file; BrokenVersion unless it is the one with those facts.

        Unreachable if it arrives too slowly, so that nothing waits for it without end.
        """
        import obstore

        digest, size = sha256(), 0
        began = time.monotonic()
        with self._errors(key), path.open("xb") as file:
            # Chunks as they arrive: a larger minimum would hide for how long none is complete.
            for chunk in obstore.get(self._large, key).stream(min_chunk_size=1):
                content = memoryview(chunk)
                digest.update(content)
                size += len(content)
                if size > facts.size:
                    break
                file.write(content)
                seconds = time.monotonic() - began
                if size < SLOWEST * (seconds - self._timeout):
                    raise Unreachable(
                        f"{self._named(key)} arrives too slowly: {size} of {facts.size} bytes "
                        f"within {seconds:.0f} s"
                    )
        if (digest.hexdigest(), size) != (facts.sha256, facts.size):
            raise BrokenVersion(
                f"{self._named(key)} is not the file that its card describes: publish the run "
                "again, or activate another version"
            )

    def create(self, key: str, content: bytes) -> bool:
        """Whether the object is new: one that has that key is left as it is."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        try:
            with self._errors(key):
                obstore.put(self._small, key, content, mode="create")
        except (AlreadyExistsError, PreconditionError):
            return False
        return True

    def replace(self, key: str, content: bytes, known: Revision) -> bool:
        """Whether it was replaced: not if it is no longer the one that is known."""
        import obstore
        from obstore.exceptions import PreconditionError

        try:
            with self._errors(key):
                mode: obstore.UpdateVersion = {}
                if known.etag:
                    mode["e_tag"] = known.etag
                if known.generation:
                    mode["version"] = known.generation
                obstore.put(self._small, key, content, mode=mode)
        except (PreconditionError, MissingObject):
            return False
        return True

    def upload(self, files: Mapping[str, Path]) -> None:
        """Files by key. Each request may take as long as all in flight need at SLOWEST."""
        import obstore

        size = sum(path.stat().st_size for path in files.values())
        store = self._uploads if size > SLOWEST * self._timeout / 2 else self._small

        def put(key: str, path: Path) -> None:
            with self._errors(key):
                obstore.put(store, key, path, chunk_size=PART, max_concurrency=1)

        with ThreadPoolExecutor(PARALLEL) as pool:
            for _ in pool.map(put, files, files.values()):
                pass

    def delete(self, keys: Iterable[str]) -> None:
        """Objects that are missing already are no error."""
        import obstore

        for key in keys:
            with suppress(MissingObject), self._errors(key):
                obstore.delete(self._small, key)

    def folders(self, prefix: str) -> list[str]:
        """The last part of each prefix directly under `prefix`."""
        import obstore

        with self._errors(prefix, "list"):
            found = obstore.list_with_delimiter(self._small, prefix or None)
        return [each.rpartition("/")[2] for each in found["common_prefixes"]]

    def keys(self, prefix: str) -> list[tuple[str, datetime]]:
        """All keys under `prefix`, in order, and when each object was written.

        A folder with a key that obstore cannot list, such as a//b, is left out with a warning.
        """
        import obstore
        from obstore.exceptions import InvalidPathError

        with self._errors(prefix, "list"):
            try:
                pages = obstore.list(self._small, prefix)
                found = [(each["path"], each["last_modified"]) for page in pages for each in page]
            except InvalidPathError:
                found = self._listable(prefix)
        return sorted(found)

    def _listable(self, folder: str) -> list[tuple[str, datetime]]:
        """`keys`, with a request for each folder."""
        import obstore
        from obstore.exceptions import InvalidPathError

        level = obstore.list_with_delimiter(self._small, folder)
        found = [(each["path"], each["last_modified"]) for each in level["objects"]]
        for each in level["common_prefixes"]:
            try:
                found += self._listable(each)
            except InvalidPathError as error:
                if each not in self._left_out:
                    self._left_out.add(each)
                    log.warning("%s is left out: %s", self._named(each), _invalid(error))
        return found

    # ---- steps --------------------------------------------------------------------------------

    def _opened(self, client: "ClientConfig") -> "ObjectStore":
        try:
            from obstore.exceptions import BaseError
            from obstore.store import from_url
        except ImportError as error:
            raise StoreError(
                f"the model store {self._url} needs the package obstore: install the dependency "
                "group `cloud` (pip install --group cloud)"
            ) from error
        if name := malformed_credential():
            raise StoreError(
                f"{name} holds a line break or another character that no such value has: "
                "write it without one (echo -n, printf)"
            )
        client["allow_http"] = self._allow_http
        try:
            return from_url(str(self._url), client_options=client, retry_config=self._retries)
        except BaseError as error:
            raise StoreError(
                f"the model store {self._url} cannot be used: {_reason(error)}; see the "
                "environment variables of its provider"
            ) from error

    def _get(self, key: str, most: int, etag: str | None) -> Found | None:
        import obstore
        from obstore.exceptions import NotModifiedError

        try:
            with self._errors(key):
                options: obstore.GetOptions = {"if_none_match": etag} if etag else {}
                result = obstore.get(self._small, key, options=options)
                size = result.meta["size"]
                if size > most:
                    raise BrokenVersion(
                        f"{self._named(key)} has {size} bytes, more than the {most} that such a "
                        "file can have"
                    )
                revision = Revision(result.meta["e_tag"], result.meta["version"])
                return Found(bytes(result.bytes()), revision)
        except NotModifiedError:
            return None

    @contextmanager
    def _errors(self, key: str, verb: str = "use") -> Iterator[None]:
        """Turn what obstore raises into sentences, except for what a condition decides."""
        from obstore import exceptions

        conditions = (
            exceptions.AlreadyExistsError, exceptions.NotModifiedError,
            exceptions.PreconditionError,
        )  # fmt: skip
        try:
            yield
        except conditions:
            raise
        except FileNotFoundError as error:
            if any(word in str(error) for word in NO_BUCKET):
                raise Unreachable(f"the bucket of {self._url} does not exist") from error
            raise MissingObject(f"{self._named(key)} does not exist") from error
        except exceptions.InvalidPathError as error:
            raise StoreError(f"{self._named(key)} cannot be listed: {_invalid(error)}") from error
        except exceptions.BaseError as error:
            reason = _reason(error)
            if _DENIED.search(reason):
                raise AccessDenied(
                    f"the credentials do not allow to {verb} {self._named(key)}: {reason}"
                ) from error
            raise Unreachable(
                f"{self._named(key)} cannot be reached: {reason}{self._advice(error)}"
            ) from error

    def _advice(self, error: Exception) -> str:
        if "BadScheme" in str(error) and not self._allow_http:
            return f"; the endpoint must be https://, unless {self._url.allow_http}=true"
        return ""

    def _named(self, key: str) -> str:
        return f"{self._url}/{key}"


def _invalid(error: Exception) -> str:
    """Which key cannot be listed, and what to do."""
    reason = str(error).partition("\n")[0].removeprefix("Encountered object with invalid path: ")
    return f"{reason}. Rename or delete that object"


def _reason(error: Exception) -> str:
    """What failed at which endpoint, in one line.

    Of a response only the status and the code: the rest may repeat the request's headers. Of the
    endpoint's URL no password. No times and attempts, so that the same failure gives the same text
    again.
    """
    text = str(error)
    sentence = re.split("[\n<]", text, maxsplit=1)[0].strip(": ")
    sentence = re.sub(r"(status code: \d{3}[^:]*):.*", r"\1", sentence)
    sentence = re.sub(r"(https?://)[^/\s]*@", r"\1", sentence)
    sentence = _ATTEMPTS.sub(lambda found: f"{found[1] or 'the endpoint'}: ", sentence)
    code = re.search(r"<Code>(\w+)</Code>|kind: (Connect|Timeout)\b", text)
    return f"{sentence[:LONGEST_REASON]}{f' ({code[1] or code[2]})' if code else ''}"
