"""Durable writes, checked reads and the writers' lock of the model store.

A rename makes a file or folder visible as a whole, but only content that was synced before survives
a power cut. Hashes are computed in blocks, because a model may be larger than the memory. A lock is
released by the kernel when the process that holds it ends, for whatever reason.
"""

import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import file_digest
from io import BufferedReader
from pathlib import Path

from contract.card import FileFacts
from contract.errors import NotConfirmed, StoreError

_STALE = getattr(errno, "ESTALE", None)
PATIENCE = 10.0  # seconds to wait for the lock, which is usually held for milliseconds


class Busy(StoreError):
    """Another program has held the lock for too long."""


def open_regular(
    path: Path, most: int | None = None, *, follow_links: bool = False
) -> BufferedReader:
    """Open a file for reading; OSError unless it is a regular file of at most `most` bytes.

    A symbolic link could make a file outside of the version pass for a part of it, and reading a
    pipe may never end.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | (0 if follow_links else os.O_NOFOLLOW)
    try:
        try:
            # Without O_NONBLOCK, opening a pipe would wait for its writer.
            handle = os.open(path, flags | os.O_NONBLOCK)
        except BlockingIOError:  # not a pipe: a file server is returning its lease on the file
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
    """Write and sync a new file. A file that does not fit the disk is removed."""
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
    """Add `path` to an error without a file name, as it is raised when the disk is full."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise


def replace_together(contents: dict[Path, bytes]) -> None:
    """Replace files of one folder in order, each by a rename, once all new content is on the disk.

    A full disk or a read-only folder therefore changes none of them.
    """
    drafts: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            draft = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
            try:
                write_through(draft, content)
            except OSError as error:  # which names the draft
                reason = error.strerror or str(error)
                raise OSError(error.errno or errno.EIO, reason, str(path)) from error
            drafts[path] = draft
        for path in contents:
            if path.is_dir():  # its rename would fail, after the preceding ones
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        for path, draft in drafts.items():
            draft.replace(path)
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)
    for folder in {path.parent for path in contents}:
        confirm(folder)


def sync(path: Path) -> None:
    """Flush a file, or the renames in a folder, from the cache to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def confirm(folder: Path) -> None:
    """Sync a folder after a rename in it; NotConfirmed if that fails, as the rename is done.

    Some file systems cannot sync a folder at all, which does not mean that the rename is lost.
    """
    try:
        sync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise NotConfirmed(
                f"the change in {folder} was made and is visible, but may not survive a "
                f"power cut: {error}"
            ) from error


def patiently(read: Callable[[], bytes], attempts: int = 5) -> bytes:
    """Call `read`, again if a network file system reports a stale handle.

    NFS does that when another machine has just replaced the file by a rename: the name is valid.
    """
    for _ in range(attempts - 1):
        try:
            return read()
        except OSError as error:
            if error.errno != _STALE:
                raise
    return read()


@contextmanager
def locked(path: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock on the file `path`, creating it if necessary; Busy after `patience` seconds."""
    with path.open("a") as file:
        end = time.monotonic() + patience
        while True:
            try:
                with named(path):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise Busy(f"another program has held {path} for {patience:g} s") from None
                time.sleep(0.01)
        yield  # closing the file releases the lock
