"""Do something to a store and be killed at every step of it, or find the disk full or read-only.

    python -m tests.contract.faults SCENARIO FOLDER CARD

A program of its own, because it forks for each step: only a process that has not loaded PyTorch and
started its threads does that quickly and safely. Ends with a traceback if a promise was broken.
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
NOBODY = 65534  # a user who owns nothing


def publish(store: Store, card: ModelCard, content: bytes = b"weights" * 1000) -> None:
    with store.draft() as draft:
        (draft / "model.onnx").write_bytes(content)
        store.publish(draft, card)


# ---- killed ------------------------------------------------------------------------------------


def killed_at_every_step(
    store: Store, action: Callable[[], object], survived: Callable[[], None]
) -> None:
    """Run `action` in a child that is killed before its first line inside contract/, then in one
    killed before its second, and so on until one comes to the end. Each finds the store as it is
    now; after each, `survived` looks at what is left.
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


def whole(store: Store) -> list[int]:
    """The versions there are, each of which must be whole, and the current one among them."""
    numbers = store.versions()
    for number in numbers:
        store.open(number)
    assert store.open().number in numbers
    assert store.history()[-1].after == store.current()
    assert "found" not in {each.action for each in store.history()}  # nobody wrote it by hand
    return numbers


def killed_while_publishing(store: Store, card: ModelCard) -> None:
    published = 0

    def survived() -> None:
        nonlocal published
        numbers = whole(store)
        assert numbers in ([1, 2, 3], [1, 2, 3, 4])
        assert store.current() == 2
        published += 4 in numbers

    killed_at_every_step(store, lambda: publish(store, card), survived)
    assert published > 2  # some were killed after the rename


def killed_while_activating(store: Store, _: ModelCard) -> None:
    seen = set()

    def survived() -> None:
        whole(store)
        seen.add(store.current())

    killed_at_every_step(store, lambda: store.activate(3), survived)
    assert seen == {2, 3}


def killed_while_rolling_back(store: Store, _: ModelCard) -> None:
    seen = set()

    def survived() -> None:
        whole(store)
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
        numbers = whole(store)
        assert {1, 2, 6} <= {*numbers} <= {1, 2, 3, 4, 5, 6}
        seen.add(len(numbers))
        store.prune(1)
        assert whole(store) == [1, 2, 6]
        assert not [*store.folder.glob(".pruned-*")]

    killed_at_every_step(store, lambda: store.prune(1), survived)
    assert seen == {3, 4, 5, 6}


# ---- no room, no right --------------------------------------------------------------------------


def everything(store: Store) -> dict[str, bytes]:
    return {
        str(path.relative_to(store.folder)): path.read_bytes()
        for path in sorted(store.folder.rglob("*"))
        if path.is_file()
    }


def refused(store: Store, action: Callable[[], object]) -> bool:
    """Whether `action` was refused, having changed nothing that a reader sees and left nothing."""
    before, refusal = everything(store), None
    try:
        action()
    except OSError as error:
        refusal = str(error)
    assert refusal is None or (str(store.folder) in refusal and everything(store) == before)
    return refusal is not None


def files_may_not_grow(store: Store, card: ModelCard) -> None:
    """The kernel refuses to write past a size: as on a disk that fills up at that byte."""
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
    """A file system of its own, with a few pages left, then fewer."""
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
    """As a user who may read it and not write it."""
    (store.folder / ".lock").touch()
    for path in (store.folder.parent, store.folder, *store.folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    if os.getuid() == 0:  # to whom modes mean nothing
        os.setuid(NOBODY)
    assert refused(store, lambda: publish(store, card))
    assert refused(store, lambda: store.activate(3))
    assert refused(store, store.rollback)
    assert refused(store, lambda: store.prune(1))
    assert whole(store) == [1, 2, 3]
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
