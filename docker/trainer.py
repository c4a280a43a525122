"""Train and export in one command, for the training image: a version that is current at the end.

    trainer.py [--if-none] [flags of python -m training ...]

--if-none does nothing, at once and without loading PyTorch, where a version is current already.
Runs and downloads go to runs/ and data/ of the folder it is started in, versions to
DIGITSERVE_MODELS. All of it is one process, so a signal to the container is for whatever goes on;
the exit codes are those of training and export.
"""

import logging
import os
import sys
from pathlib import Path

from contract.errors import NoVersion, StoreError
from contract.store import open_store


def main(words: list[str]) -> int:
    if words[:1] == ["--if-none"]:
        try:
            there = _current()
        except StoreError as error:
            print(f"trainer: {error}", file=sys.stderr)
            return 2
        if there:
            print(f"trainer: {there} is the current version, nothing to train", file=sys.stderr)
            return 0
        words = words[1:]
    print("trainer: training and exporting; PyTorch takes some seconds to load", file=sys.stderr)
    if not os.environ.get("DIGITSERVE_SIGNING_KEY"):  # compose sets what is unset to nothing
        os.environ.pop("DIGITSERVE_SIGNING_KEY", None)
    from export.__main__ import main as export  # these load PyTorch: seconds
    from training.__main__ import main as train

    if code := train(words):
        return code
    logging.getLogger().setLevel(logging.WARNING)  # training's level; ONNX tells of every pass
    return export([])


def _current() -> str:
    """The folder of the version that is to be served; nothing where there is none."""
    models, name = os.environ["DIGITSERVE_MODELS"], os.environ.get("DIGITSERVE_MODEL", "digits")
    store = open_store(Path(models), name)
    try:
        return str(store.folder / str(store.current()))
    except NoVersion:
        return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
