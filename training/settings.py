"""Environment variables of training: MNIST_DIR, set by the user, and RANK, set by torchrun."""

import os
from collections.abc import Mapping
from pathlib import Path


def mnist_dir() -> Path | None:
    """The folder with MNIST's four files; None if it is not set."""
    folder = os.environ.get("MNIST_DIR")
    return Path(folder) if folder else None


def is_first_process() -> bool:
    """Whether this is the only process, or the first of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def environment() -> Mapping[str, str]:
    """All variables, for programs that training starts."""
    return os.environ
