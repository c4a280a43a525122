"""Files that are on the disk when it is said that they are, and are what they are said to be.

A rename makes a file or folder visible whole, but only what was synced before is still there after
a power cut. Hashes are taken in blocks: a model may be larger than the memory.
"""

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import file_digest
from io import BufferedReader
from pathlib import Path

from contract.card import FileFacts
from contract.errors import NotConfirmed

_STALE = getattr(errno, "ESTALE", None)


def open_regular(
    path: Path, most: int | None = None, *, follow_links: bool = False
) -> BufferedReader:
    """A file open for reading; OSError unless it is a regular one, of at most `most` bytes.

    A link would have what lies outside of the version taken for a part of it, and the end of a pipe
    may never come.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | (0 if follow_links else os.O_NOFOLLOW)
    try:
        try:
            # Without O_NONBLOCK, to open a pipe is to wait for its writer.
            handle = os.open(path, flags | os.O_NONBLOCK)
        except BlockingIOError:  # no pipe: a file server holds a lease on it and is giving it back
            handle = os.open(path, flags)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise OSError(
            errno.ELOOP, "it is a symbolic link, and only regular files are read", str(path)
        ) from error
    file = os.fdopen(handle, "rb")
    found = os.fstat(handle)
    if stat.S_ISREG(found.st_mode) and (most is None or found.st_size <= most):
        return file
    file.close()
    if stat.S_ISREG(found.st_mode):
        raise OSError(errno.EFBIG, f"it has {found.st_size} bytes, more than {most}", str(path))
    raise OSError(errno.EINVAL, "it is not a regular file", str(path))


def read_regular(path: Path, most: int, *, follow_links: bool = False) -> bytes:
    """The content of a regular file of at most `most` bytes; OSError otherwise."""
    with open_regular(path, most, follow_links=follow_links) as file:
        return file.read()


def facts_of(path: Path, most: int | None = None) -> FileFacts:
    """Hash and size of a regular file of at most `most` bytes; OSError otherwise."""
    with open_regular(path, most) as file:
        digest = file_digest(file, "sha256").hexdigest()
        return FileFacts(sha256=digest, size=file.tell())


def write_through(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a new file and put it on the disk; nothing is left of one that did not fit."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with named(path), os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Let an error that does not say which file it is about name `path`: a full disk does not."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise


def replace_together(contents: dict[Path, bytes]) -> None:
    """Replace files of one folder, each by a rename, in order, once all are safely written aside.

    A full disk or a folder that may not be written therefore changes none of them.
    """
    asides: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            aside = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
            write_through(aside, content)
            asides[path] = aside
        for path in contents:
            if path.is_dir():  # where a rename would fail, after those before it
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        for path, aside in asides.items():
            aside.replace(path)
    finally:
        for aside in asides.values():
            aside.unlink(missing_ok=True)
    for folder in {path.parent for path in contents}:
        confirm(folder)


def sync(path: Path) -> None:
    """Put a file, or the renames in a folder, on the disk and not merely into a cache."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def confirm(folder: Path) -> None:
    """Sync a folder after a rename in it; NotConfirmed if that fails, for the rename is done.

    Some mounted file systems cannot sync a folder at all, which says nothing about the rename.
    """
    try:
        sync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise NotConfirmed(
                f"the change in {folder} is made and seen by everybody, but may not survive a "
                f"power cut: {error}"
            ) from error


def patiently(read: Callable[[], bytes], attempts: int = 5) -> bytes:
    """What `read` returns, asked again where a network file system says the handle is stale.

    NFS says so of a file that another machine has just replaced by a rename: the name is good.
    """
    for _ in range(attempts - 1):
        try:
            return read()
        except OSError as error:
            if error.errno != _STALE:
                raise
    return read()
