"""Read the IDX files that MNIST and its relatives come in, plain or gzipped.

    00 00 08 d    bytes in d dimensions: 1 for labels, 3 for pictures
    d sizes       big-endian uint32
    the bytes

Whatever is missing or damaged is named.
"""

import gzip
import hashlib
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


class BadData(Exception):
    """A data file is missing or is not what it should be; the message names the file."""


def find(folder: Path, name: str, *, packed_first: bool = False) -> Path | None:
    """`folder/name`, plain or with .gz, or None."""
    paths = folder / name, folder / f"{name}.gz"
    for path in reversed(paths) if packed_first else paths:
        if path.is_file():
            return path
    return None


def check(path: Path, md5: str | None) -> None:
    """Refuse a file, as it lies there, that has another checksum; None: none is known."""
    found = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    if md5 not in (None, found):
        raise BadData(
            f"{path} is damaged: its MD5 is {found}, not {md5}. Delete it to get it again."
        )


def read(path: Path, *, dimensions: int, md5: str | None = None) -> Bytes:
    """The array in an IDX file; with `md5`, only if its uncompressed content has that checksum."""
    content = _content(path)
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 is not None and found != md5:
        raise BadData(
            f"{path} is damaged: the MD5 of its content is {found}, MNIST's is {md5}. "
            "Delete it and get it again."
        )
    header = 4 + 4 * dimensions  # bytes
    if len(content) < header or content[:4] != bytes([0, 0, 8, dimensions]):
        raise BadData(f"{path} is not an IDX file of bytes in {dimensions} dimensions")
    shape = tuple(int(size) for size in np.frombuffer(content[4:header], ">u4"))
    expected = header + int(np.prod(shape, dtype=np.int64))
    if len(content) != expected:
        raise BadData(
            f"{path} says it holds {shape}, that is {expected} bytes, but has {len(content)}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _content(path: Path) -> bytes:
    raw = path.read_bytes()
    if path.suffix != ".gz":
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise BadData(
            f"{path} is damaged: it cannot be unzipped ({error}). Get it again."
        ) from error
