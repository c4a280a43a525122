"""What training reads from the environment: MNIST_DIR of the user, RANK of torchrun."""

import os
from pathlib import Path


def mnist_dir() -> Path | None:
    """A folder with MNIST's four files."""
    folder = os.environ.get("MNIST_DIR")
    return Path(folder) if folder else None


def is_first_process() -> bool:
    """Whether this is the process that speaks, of one or of those that torchrun began."""
    return os.environ.get("RANK", "0") == "0"
