"""The model store on real object stores: conditional writes decide, and reads are verified."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest

from contract.errors import Moved, NoVersion
from contract.store import Store
from contract.version import Version
from tests.cloud.emulators import Emulator
from tests.support.versions import publish

Machine = Callable[[str], Store]


def test_versions_are_published_switched_and_pruned(
    emulator: Emulator, machine: Machine, version: Version
) -> None:
    here, there = machine("one"), machine("other")
    assert [publish(here, version) for _ in range(5)] == [1, 2, 3, 4, 5]
    for number in (1, 2):
        here.activate(number)
    assert there.open().card.files == version.card.files
    assert set(there.check(2).values()) == {None}
    assert there.rollback().after == 1
    assert [each.after for each in here.history()] == [1, 2, 1]
    assert here.prune(1) == [3, 4]
    assert there.versions() == [1, 2, 5]
    with pytest.raises(NoVersion, match="published versions: 1, 2, 5"):
        there.open(3)


def test_a_file_of_several_parts_is_published_and_copied(
    emulator: Emulator, machine: Machine, version: Version
) -> None:
    """Providers take an object of more than 5 MiB in parts, each of them a request."""
    content = random.Random(1).randbytes(12_000_000)
    publish(machine("one"), version, lambda draft: (draft / "large.bin").write_bytes(content))
    assert machine("other").open(1).read("large.bin") == content


def test_concurrent_publishers_get_different_numbers(
    emulator: Emulator, machine: Machine, version: Version
) -> None:
    def some(name: str) -> list[int]:
        store = machine(name)
        return [publish(store, version) for _ in range(3)]

    with ThreadPoolExecutor(3) as pool:
        numbers = [*chain(*pool.map(some, "abc"))]
    assert sorted(numbers) == [*range(1, 10)]
    reader = machine("reader")
    assert all(reader.open(number).card.files == version.card.files for number in numbers)


def test_of_two_switches_from_the_same_version_one_succeeds(
    emulator: Emulator, machine: Machine, version: Version
) -> None:
    stores = [machine(name) for name in "abcd"]
    for _ in range(5):
        publish(stores[0], version)
    stores[0].activate(1)

    def switch(index: int) -> bool:
        try:
            stores[index].activate(index + 2, expected=1)
        except Moved:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        done = [*pool.map(switch, range(4))]
    assert done.count(True) == 1
    assert stores[0].current() == done.index(True) + 2
    assert [each.after for each in stores[0].history()] == [1, done.index(True) + 2]
