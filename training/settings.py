"""What training reads from the environment: MNIST_DIR, a folder with MNIST's four files."""

import os
from pathlib import Path


def mnist_dir() -> Path | None:
    folder = os.environ.get("MNIST_DIR")
    return Path(folder) if folder else None
