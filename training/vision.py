"""Imports torchvision, also where its compiled operators do not fit the installed torch.

The torchvision on PyPI is built for CUDA. With a CPU-only torch its operators do not load, and
`import torchvision` fails when it attaches shape functions to `nms` and `qnms`. This project does
not call them, so declaring their names is enough. Where the operators load, nothing is declared.
`training.api` declares them for notebooks, which import torchvision for its transforms.
"""

from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch


@cache
def torchvision() -> Any:
    """The package, with its data sets and models."""
    declare_missing_operators()
    import torchvision

    return torchvision


@cache
def declare_missing_operators() -> None:
    """From now on, `import torchvision` works. This takes a millisecond."""
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
    _KEPT.append(library)  # a Library that is garbage-collected removes its operators


_KEPT: list[torch.library.Library] = []
