"""Train and export in one command, for the training image; the new version becomes current.

    trainer.py [--if-none] [flags of python -m training ...]

With --if-none and a current version it exits at once, without loading PyTorch, unless MNIST_DIR is
set and that version was trained on the digits that replace MNIST where it is not available.
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
from contract.settings import mnist_command
from contract.store import open_store

EMBEDDED = "digits"  # the name of scikit-learn's digits on a card


def main(words: list[str]) -> int:
    if words[:1] == ["--if-none"]:
        words = words[1:]
        try:
            done = _nothing_to_train(words)
        except StoreError as error:
            print(f"trainer: {error}", file=sys.stderr)
            return 2
        if done:
            return 0
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


def _nothing_to_train(words: list[str]) -> bool:
    """Whether there is a current version, unless MNIST now replaces the embedded digits."""
    models, name = os.environ["DIGITSERVE_MODELS"], os.environ.get("DIGITSERVE_MODEL", "digits")
    store = open_store(location_of(models), name)
    try:
        number = store.current()
    except NoVersion:
        return False
    here = f"trainer: {store.place}/{number} is the current version"
    data_set = store.card(number).data_set
    requested = any(word.split("=")[0] == "--data" for word in words)
    if requested or data_set is None or data_set.name != EMBEDDED:
        print(f"{here}, nothing to train", file=sys.stderr)
        return True
    if os.environ.get("MNIST_DIR"):
        print(f"{here}, trained on scikit-learn's digits: training on MNIST", file=sys.stderr)
        return False
    print(
        f"{here}, nothing to train. It was trained on scikit-learn's digits because MNIST was not "
        f"available; to train on MNIST: {mnist_command()}",
        file=sys.stderr,
    )
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
