"""Download MNIST with torchvision, whose mirrors and checksums are kept up to date."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path

import torch

PATIENCE = 10.0  # seconds without a byte; a network that swallows packets must not hang a demo


def download_mnist(root: Path) -> None:
    """Put MNIST's files under root/MNIST/raw; raise OSError when they cannot be had."""
    _declare_missing_operators()
    from torchvision.datasets import MNIST

    with _network_timeout(PATIENCE):
        try:
            MNIST(str(root), download=True)
        except (RuntimeError, HTTPException) as error:  # every mirror failed, or spoke no HTTP
            raise OSError(f"{type(error).__name__}: {error}") from error


@contextmanager
def _network_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _declare_missing_operators() -> None:
    """Let a torchvision built for CUDA be imported beside a CPU-only torch.

    Its compiled operators do not load there, and `import torchvision` fails when it attaches shape
    functions to `nms` and `qnms`. Nothing here calls them: declaring their names is enough. Where
    the operators do load, as in matching builds, nothing is declared.
    """
    package = find_spec("torchvision")
    assert package is not None
    assert package.origin is not None
    for compiled in Path(package.origin).parent.glob("_C.*"):
        with suppress(OSError):
            torch.ops.load_library(compiled)  # type: ignore[no-untyped-call]
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            signature = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            library.define(name + signature)  # type: ignore[no-untyped-call]
    _KEPT.append(library)  # a Library takes its operators along when it is collected


_KEPT: list[torch.library.Library] = []
