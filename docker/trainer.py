"""Train and export in one command, for the training image; the new version becomes current.

    trainer.py [--if-none] [flags of python -m training ...]

With --if-none and a current version it exits at once, without loading PyTorch.
Runs and downloads are stored in runs/ and data/ of the working directory, versions in
DIGITSERVE_MODELS. Everything runs in one process, so a signal to the container reaches the current
step; the exit codes are those of training and export.
"""

import logging
import os
import sys

from contract.command_line import end_at_interrupt, raise_at_interrupt
from contract.errors import NoVersion, StoreError
from contract.location import location_of
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
    if not os.environ.get("DIGITSERVE_SIGNING_KEY"):  # compose sets it to an empty string
        os.environ.pop("DIGITSERVE_SIGNING_KEY", None)
    end_at_interrupt("trainer")
    from export.__main__ import main as export  # loads PyTorch, which takes seconds
    from training.__main__ import main as train

    raise_at_interrupt()
    if code := train(words):
        return code
    logging.getLogger().setLevel(logging.WARNING)  # as training; ONNX would log every pass
    return export([])


def _current() -> str:
    """The folder of the version that would be served, or None."""
    models, name = os.environ["DIGITSERVE_MODELS"], os.environ.get("DIGITSERVE_MODEL", "digits")
    store = open_store(location_of(models), name)
    try:
        return f"{store.place}/{store.current()}"
    except NoVersion:
        return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
