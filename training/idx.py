"""Reads the IDX files that MNIST and similar data sets consist of, plain or compressed with gzip.

    00 00 08 d    bytes in d dimensions: 1 for labels, 3 for images
    d sizes       big-endian uint32
    the bytes

Errors name the file that is missing or damaged.
"""

import gzip
import hashlib
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

MNIST = {  # names of MNIST's files and of all that are shaped like them: dimensions
    "train-images-idx3-ubyte": 3,
    "train-labels-idx1-ubyte": 1,
    "t10k-images-idx3-ubyte": 3,
    "t10k-labels-idx1-ubyte": 1,
}


class BadData(Exception):
    """A data file is missing or is not what it should be; the message names the file."""


def find(folder: Path, name: str, *, packed_first: bool = False) -> Path | None:
    """The file `name` in `folder`, plain or with .gz; None if there is neither."""
    paths = [folder / name, folder / f"{name}.gz"]
    return next((path for path in paths[:: -1 if packed_first else 1] if path.is_file()), None)


def read(folder: Path, files: Mapping[str, int], md5: Mapping[str, str]) -> list[Bytes]:
    """The arrays in the `files` of a folder, given as names with their dimensions.

    `md5` has the checksum of a file's uncompressed content by its name, or the checksum of the
    compressed file by its name with .gz. Files without a checksum in it are not checked.
    """
    arrays = []
    for name, dimensions in files.items():
        path = find(folder, name, packed_first=f"{name}.gz" in md5)
        if path is None:
            raise BadData(f"{folder} has no {name} or {name}.gz. It must hold: {', '.join(files)}")
        raw = path.read_bytes()
        if path.suffix == ".gz":
            _check(path, "its MD5", raw, md5.get(path.name))
            raw = _unpacked(path, raw)
        _check(path, "the MD5 of its content", raw, md5.get(name))
        arrays.append(_array(path, raw, dimensions))
    return arrays


def _check(path: Path, what: str, content: bytes, md5: str | None) -> None:
    found = hashlib.md5(content, usedforsecurity=False).hexdigest() if md5 else None
    if found != md5:
        raise BadData(f"{path} is damaged: {what} is {found}, not {md5}. Delete it and try again.")


def _unpacked(path: Path, raw: bytes) -> bytes:
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise BadData(
            f"{path} is damaged: it cannot be decompressed ({error}). Delete it and try again."
        ) from error


def _array(path: Path, content: bytes, dimensions: int) -> Bytes:
    header = 4 + 4 * dimensions  # bytes
    if len(content) < header or content[:4] != bytes([0, 0, 8, dimensions]):
        raise BadData(f"{path} is not an IDX file of bytes in {dimensions} dimensions")
    shape = tuple(int(size) for size in np.frombuffer(content[4:header], ">u4"))
    expected = header + int(np.prod(shape, dtype=np.int64))
    if len(content) != expected:
        raise BadData(
            f"{path} should hold {shape}, that is {expected} bytes, but has {len(content)}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
