"""Crash at every step of a store operation, or run it on a full or read-only disk.

    python -m tests.contract.faults SCENARIO FOLDER CARD

A separate program because it forks at each step, which is fast and safe only in a process that has
not loaded PyTorch and started its threads. Exits with a traceback if a guarantee is violated.
"""

import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from contract.card import ModelCard
from contract.store import Store

CONTRACT = str(Path(__file__).parent.parent.parent / "contract")
NOBODY = 65534  # a user who owns no files


def publish(store: Store, card: ModelCard, content: bytes = b"weights" * 1000) -> None:
    with store.draft() as draft:
        (draft / "model.onnx").write_bytes(content)
        store.publish(draft, card)


# ---- crashes -----------------------------------------------------------------------------------


def killed_at_every_step(
    store: Store, action: Callable[[], object], survived: Callable[[], None]
) -> None:
    """Run `action` in a child that is killed before its first line inside contract/, then in one
    killed before its second, and so on until a child completes. Each child starts from the current
    state of the store; `survived` checks the state after each.
    """
    before = store.folder.with_name("before")
    shutil.copytree(store.folder, before)
    step = 0
    while True:
        step += 1
        shutil.rmtree(store.folder)
        shutil.copytree(before, store.folder)
        child = os.fork()
        if child == 0:
            sys.settrace(_kill_at(step))
            action()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        survived()
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            assert step > 60, "it was not traced"
            return
        assert os.WTERMSIG(status) == signal.SIGKILL


def _kill_at(step: int) -> Callable[[FrameType, str, Any], Any]:
    left = step

    def each_line(_: FrameType, event: str, __: Any) -> Any:
        nonlocal left
        if event == "line":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return each_line

    def each_call(frame: FrameType, _: str, __: Any) -> Any:
        return each_line if frame.f_code.co_filename.startswith(CONTRACT) else None

    return each_call


def check_complete(store: Store) -> list[int]:
    """Check that every version and the current one are complete; return the version numbers."""
    numbers = store.versions()
    for number in numbers:
        store.open(number)
    assert store.open().number in numbers
    assert store.history()[-1].after == store.current()
    assert "found" not in {each.action for each in store.history()}  # no switch by hand
    return numbers


def killed_while_publishing(store: Store, card: ModelCard) -> None:
    published = 0

    def survived() -> None:
        nonlocal published
        numbers = check_complete(store)
        assert numbers in ([1, 2, 3], [1, 2, 3, 4])
        assert store.current() == 2
        published += 4 in numbers

    killed_at_every_step(store, lambda: publish(store, card), survived)
    assert published > 2  # some children were killed after the rename


def killed_while_activating(store: Store, _: ModelCard) -> None:
    seen = set()

    def survived() -> None:
        check_complete(store)
        seen.add(store.current())

    killed_at_every_step(store, lambda: store.activate(3), survived)
    assert seen == {2, 3}


def killed_while_rolling_back(store: Store, _: ModelCard) -> None:
    seen = set()

    def survived() -> None:
        check_complete(store)
        seen.add(store.current())
        if store.current() == 2:
            assert store.rollback().after == 1

    killed_at_every_step(store, store.rollback, survived)
    assert seen == {1, 2}


def killed_while_pruning(store: Store, card: ModelCard) -> None:
    for _ in range(3):
        publish(store, card)
    seen = set()

    def survived() -> None:
        numbers = check_complete(store)
        assert {1, 2, 6} <= {*numbers} <= {1, 2, 3, 4, 5, 6}
        seen.add(len(numbers))
        store.prune(1)
        assert check_complete(store) == [1, 2, 6]
        assert not [*store.folder.glob(".pruned-*")]

    killed_at_every_step(store, lambda: store.prune(1), survived)
    assert seen == {3, 4, 5, 6}


# ---- full disk, missing permission --------------------------------------------------------------


def all_files(store: Store) -> dict[str, bytes]:
    return {
        str(path.relative_to(store.folder)): path.read_bytes()
        for path in sorted(store.folder.rglob("*"))
        if path.is_file()
    }


def refused(store: Store, action: Callable[[], object]) -> bool:
    """Whether `action` failed; if so, check that no file was changed or left behind."""
    before, refusal = all_files(store), None
    try:
        action()
    except OSError as error:
        refusal = str(error)
    assert refusal is None or (str(store.folder) in refusal and all_files(store) == before)
    return refusal is not None


def files_may_not_grow(store: Store, card: ModelCard) -> None:
    """With a limit on the size of files, which acts like a disk that fills up at that byte."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    (store.folder / ".lock").touch()
    actions = {
        "publish": lambda: publish(store, card),
        "activate": lambda: store.activate(3),
        "rollback": store.rollback,
    }
    for name, action in actions.items():
        outcomes = []
        for size in (0, 1, 2, 100, 200, 1000, 6999, 7000, 7500, 20_000):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
            outcomes.append(refused(store, action))
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            if store.current() != 2:
                store.activate(2)
        assert outcomes[0] is True, name
        assert outcomes[-1] is False, name
        assert sorted(outcomes, reverse=True) == outcomes, name


def disk_is_full(store: Store, card: ModelCard) -> None:
    """On a small file system with a few pages free, then fewer."""
    (store.folder / ".lock").touch()
    free = os.statvfs(store.folder).f_bavail
    assert free < 1000, "run it on a small tmpfs"
    filler = store.folder.parent / "filler"
    page = os.statvfs(store.folder).f_frsize
    outcomes = []
    for room in (0, 1, 2, 4, 8, free):
        filler.write_bytes(bytes((free - room) * page))
        outcomes.append(refused(store, lambda: publish(store, card)))
        if room < 2:
            assert refused(store, lambda: store.activate(3))
            assert refused(store, store.rollback)
            assert store.open().number == 2
        filler.unlink()
    assert outcomes[:2] == [True, True]
    assert outcomes[-1] is False


def folder_is_read_only(store: Store, card: ModelCard) -> None:
    """As a user who may read the store but not write to it."""
    (store.folder / ".lock").touch()
    for path in (store.folder.parent, store.folder, *store.folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    if os.getuid() == 0:  # permissions do not restrict root
        os.setuid(NOBODY)
    assert refused(store, lambda: publish(store, card))
    assert refused(store, lambda: store.activate(3))
    assert refused(store, store.rollback)
    assert refused(store, lambda: store.prune(1))
    assert check_complete(store) == [1, 2, 3]
    assert refused(Store(store.folder.parent, "other"), lambda: publish(other(store), card))


def other(store: Store) -> Store:
    return Store(store.folder.parent, "other")


SCENARIOS = {
    each.__name__: each
    for each in (
        killed_while_publishing,
        killed_while_activating,
        killed_while_rolling_back,
        killed_while_pruning,
        files_may_not_grow,
        disk_is_full,
        folder_is_read_only,
    )
}


def main(scenario: str, folder: str, card: str) -> None:
    store = Store(Path(folder) / "models", "digits")
    model_card = ModelCard.from_json(card)
    for _ in range(3):
        publish(store, model_card)
    store.activate(1)
    store.activate(2)
    SCENARIOS[scenario](store, model_card)


if __name__ == "__main__":
    main(*sys.argv[1:])
