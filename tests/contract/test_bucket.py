"""A store in a bucket: versions appear whole, one of two writers wins, failures have names."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from pathlib import Path

import pytest

from contract import signature
from contract.__main__ import main
from contract.card import ModelCard
from contract.errors import (
    AccessDenied,
    BrokenVersion,
    Moved,
    NewerVersion,
    NoModel,
    NoVersion,
    StoreError,
    Unreachable,
    Untrusted,
)
from contract.location import BadLocation, location_of
from contract.mirror import MirroredStore
from contract.settings import Access
from contract.store import Store, open_store
from contract.version import Version
from tests.support.marks import needs_mounts
from tests.support.object_store import KEY, SECRET, ObjectServer, Received
from tests.support.running import ROOT as CHECKOUT

URL = "s3://bucket/models"
ROOT = "models/digits"  # keys of the model's objects


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectServer]:
    with ObjectServer.started() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def card(version: Version) -> ModelCard:
    return version.card.model_copy(update={"files": {}})


@pytest.fixture
def machine(server: ObjectServer, tmp_path: Path) -> Callable[..., Store]:
    """The store as seen by a machine: each has a cache of its own."""

    def store(
        name: str = "one",
        *,
        url: str = URL,
        trusted: tuple[str, ...] = (),
        timeout: float = 10.0,
        serve_cached: bool = False,
    ) -> Store:
        access = Access(
            cache=tmp_path / name, timeout=timeout, allow_http=True, serve_cached=serve_cached
        )
        return open_store(location_of(url), "digits", trusted, access)

    return store


@pytest.fixture
def store(machine: Callable[..., Store]) -> Store:
    return machine()


def publish(
    store: Store, card: ModelCard, content: bytes = b"weights", sign: signature.Sign | None = None
) -> int:
    with store.draft() as draft:
        (draft / "model.onnx").write_bytes(content)
        return store.publish(draft, card, sign).number


def gets(server: ObjectServer, name: str) -> int:
    return sum(each.method == "GET" and each.key.endswith(name) for each in server.received)


# ---- publishing and reading ---------------------------------------------------------------------


def test_what_one_machine_publishes_another_reads(
    machine: Callable[..., Store], card: ModelCard
) -> None:
    here, there = machine("one"), machine("other")
    assert publish(here, card, b"the weights") == 1
    here.activate(1)
    version = there.open()
    assert (version.number, version.read("model.onnx")) == (1, b"the weights")
    assert there.versions() == [1]


def test_a_bucket_holds_the_files_of_a_folder(
    server: ObjectServer, store: Store, card: ModelCard
) -> None:
    publish(store, card)
    store.activate(1)
    assert server.objects[f"{ROOT}/current"] == b"1\n"
    assert {f"{ROOT}/1/card.json", f"{ROOT}/1/model.onnx"} <= {*server.objects}


def test_a_store_without_versions_says_what_to_do(
    machine: Callable[..., Store], card: ModelCard
) -> None:
    with pytest.raises(NoModel, match=r"s3://bucket/models/digits has no current .*make export"):
        machine().current()
    publish(machine(), card)
    with pytest.raises(NoVersion, match=r"models/digits/2 does not exist; published versions: 1"):
        machine().open(2)


def test_concurrent_publishers_get_different_numbers(
    machine: Callable[..., Store], card: ModelCard
) -> None:
    together = threading.Barrier(4, timeout=20)

    def some(name: str) -> list[int]:
        store = machine(name)
        numbers = []
        for _ in range(3):
            together.wait()
            numbers.append(publish(store, card, name.encode()))
        return numbers

    with ThreadPoolExecutor(4) as pool:
        published = dict(zip("abcd", pool.map(some, "abcd"), strict=True))
    assert sorted(chain(*published.values())) == list(range(1, 13))
    reader = machine("reader")
    for name, numbers in published.items():
        assert {reader.open(number).read("model.onnx") for number in numbers} == {name.encode()}


def test_half_an_upload_is_no_version_and_its_number_is_not_used_again(
    server: ObjectServer, store: Store, card: ModelCard
) -> None:
    server.fault = lambda request: 403 if request.key.endswith("model.onnx") else None
    with pytest.raises(AccessDenied, match=r"bucket/models/digits/1/model\.onnx"):
        publish(store, card)
    server.fault = lambda _: None
    assert store.versions() == []
    assert publish(store, card) == 2
    assert store.versions() == [2]


def test_an_upload_that_was_abandoned_for_a_day_is_pruned(
    server: ObjectServer, store: Store, card: ModelCard
) -> None:
    server.fault = lambda request: 403 if request.key.endswith("card.json") else None
    with pytest.raises(AccessDenied):
        publish(store, card)
    server.fault = lambda _: None
    store.prune(1)
    assert f"{ROOT}/1/model.onnx" in server.objects, "it may go on"
    server.written = dict.fromkeys(server.objects, 1.0)
    store.prune(1)
    assert not server.objects


def test_a_version_of_a_newer_release_is_told_from_a_broken_one(
    server: ObjectServer, machine: Callable[..., Store], card: ModelCard
) -> None:
    publish(machine(), card)
    key = f"{ROOT}/1/card.json"
    server.objects[key] = server.objects[key].replace(
        b'"schema_version": 5', b'"schema_version": 9'
    )
    with pytest.raises(NewerVersion, match=r"1/card\.json: its schema_version is 9, newer than"):
        machine("other").open(1)
    server.objects[key] = b"{}"
    with pytest.raises(BrokenVersion, match=r"1/card\.json is not a model card"):
        machine("third").open(1)


def test_an_unsigned_version_is_refused_before_its_files_are_copied(
    server: ObjectServer, machine: Callable[..., Store], card: ModelCard, tmp_path: Path
) -> None:
    key = signature.generate(tmp_path / "key")
    publish(machine(), card)
    publish(machine(), card, sign=signature.signer(tmp_path / "key"))
    careful = machine("careful", trusted=(key,))
    with pytest.raises(Untrusted, match=r"s3://bucket/models/digits/1/card\.json is not signed"):
        careful.open(1)
    assert gets(server, "1/model.onnx") == 0
    assert careful.open(2).number == 2


# ---- copies -------------------------------------------------------------------------------------


def test_a_file_that_the_card_does_not_describe_is_refused(
    server: ObjectServer, machine: Callable[..., Store], card: ModelCard
) -> None:
    publish(machine(), card)
    key = f"{ROOT}/1/model.onnx"
    for content in (b"weightz", b"weights and more", b""):
        server.objects[key] = content
        with pytest.raises(BrokenVersion, match=re.escape(f"{key} is not the file")):
            machine("other").open(1)
    del server.objects[key]
    with pytest.raises(BrokenVersion, match=re.escape(f"{key} does not exist, but it is on the")):
        machine("other").open(1)
    assert [path.name for path in machine("other").folder.iterdir() if path.is_dir()] == []


def test_a_damaged_copy_is_made_again(
    server: ObjectServer, machine: Callable[..., Store], card: ModelCard
) -> None:
    publish(machine(), card)
    other = machine("other")
    (other.open(1).folder / "model.onnx").write_bytes(b"rot")
    assert other.open(1).read("model.onnx") == b"weights"
    assert other.open(1).read("model.onnx") == b"weights"
    assert gets(server, "1/model.onnx") == 2


def test_a_copy_of_another_version_of_that_number_is_made_again(
    server: ObjectServer, machine: Callable[..., Store], card: ModelCard
) -> None:
    """As after a bucket was emptied, or on another server with a bucket of that name."""
    publish(machine(), card, b"old weights")
    assert machine("service").open(1).read("model.onnx") == b"old weights"
    server.objects.clear()
    publish(machine("two"), card, b"new weights")
    assert machine("service").open(1).read("model.onnx") == b"new weights"
    server.fault = lambda _: 503
    assert machine("service", timeout=0.1).open(1).read("model.onnx") == b"new weights"


def test_a_copy_that_arrives_too_slowly_is_given_up(
    server: ObjectServer, machine: Callable[..., Store], card: ModelCard
) -> None:
    publish(machine(), card, bytes(300_000))
    server.fault = lambda request: setattr(
        server, "speed", 20_000.0 if request.key.endswith("model.onnx") else None
    )
    with pytest.raises(Unreachable, match=r"model\.onnx arrives too slowly: \d+ of 300000 bytes"):
        machine("other", timeout=0.5).open(1)
    server.fault = lambda _: setattr(server, "speed", 300_000.0)
    assert machine("other", timeout=0.5).open(1).number == 1, "this takes longer than the timeout"


def test_an_upload_may_take_longer_than_the_timeout(
    server: ObjectServer, machine: Callable[..., Store], card: ModelCard
) -> None:
    server.speed = 200_000.0
    assert publish(machine(timeout=0.5), card, bytes(200_000)) == 1
    server.speed = None
    assert machine("other").open(1).read("model.onnx") == bytes(200_000)


def test_workers_that_share_a_cache_copy_and_clear_at_the_same_time(
    machine: Callable[..., Store], card: ModelCard
) -> None:
    for _ in range(4):
        publish(machine(), card)

    def copies(number: int) -> None:
        service = machine("shared")
        assert isinstance(service, MirroredStore)
        for _ in range(20):
            with suppress(NoVersion, BrokenVersion):  # removed by another worker
                folder = service.open(number).folder
                (folder / "model.onnx").write_bytes(b"rot")
                os.utime(folder, (1.0, 1.0))
            service.keep_copies(1, None)

    with ThreadPoolExecutor(3) as pool:
        [*pool.map(copies, (2, 3, 4))]


def test_programs_that_share_a_cache_make_one_copy(
    server: ObjectServer, machine: Callable[..., Store], card: ModelCard
) -> None:
    publish(machine(), card)
    with ThreadPoolExecutor(4) as pool:
        versions = pool.map(lambda _: machine("shared").open(1), range(4))
        assert {version.read("model.onnx") for version in versions} == {b"weights"}
    assert gets(server, "1/model.onnx") == 1


def test_copies_of_versions_that_served_before_go_in_time(
    machine: Callable[..., Store], card: ModelCard
) -> None:
    for _ in range(4):
        publish(machine(), card)
    service = machine("service")
    assert isinstance(service, MirroredStore)
    for number in (1, 2, 3, 4):
        service.open(number)
    for number in (1, 2, 4):
        os.utime(service.folder / str(number), (1.0, 1.0))
    service.keep_copies(4, 2)
    copies = {path.name for path in service.folder.iterdir() if path.is_dir()}
    assert copies == {"2", "3", "4"}, "3 is new: another worker may be about to load it"


@needs_mounts
def test_on_a_full_disk_copies_that_do_not_serve_make_room(
    machine: Callable[..., Store], card: ModelCard, tmp_path: Path
) -> None:
    for size in (200_000, 200_000, 200_000, 900_000):
        publish(machine(), card, bytes(size))
    (tmp_path / "small").mkdir()
    script = f"""
from contract.location import location_of
from contract.settings import Access
from contract.store import open_store
access = Access(cache=Path("{tmp_path / "small"}"), allow_http=True)
store = open_store(location_of("{URL}"), "digits", access=access)
store.keep_copies(store.open(1).number, None)
for number in (2, 3, 4):
    try:
        store.open(number)
    except OSError as error:
        print(number, error.strerror)
print(*sorted(path.name for path in store.folder.iterdir() if path.is_dir()))
"""
    mount = f'mount -t tmpfs -o size=600k tmpfs {tmp_path / "small"} && exec "$0" -c "$1"'
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", mount, sys.executable, f"from pathlib import Path{script}"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "4 No space left on device\n1\n"


# ---- switching ----------------------------------------------------------------------------------


def test_of_two_programs_that_switch_at_once_one_succeeds(
    server: ObjectServer, machine: Callable[..., Store], card: ModelCard
) -> None:
    here, there = machine("one"), machine("other")
    for _ in range(3):
        publish(here, card)
    here.activate(1)

    def switched_meanwhile(request: Received) -> None:
        if request.method == "PUT" and request.key == f"{ROOT}/current":
            server.fault = lambda _: None
            there.activate(2)

    server.fault = switched_meanwhile
    with pytest.raises(Moved, match="the current version is 2 and no longer 1"):
        here.activate(3, expected=1)
    assert there.current() == 2
    assert [each.after for each in there.history()] == [1, 2]
    server.fault = switched_meanwhile
    here.activate(3)  # whatever is current
    assert [each.after for each in there.history()] == [1, 2, 3]
    assert there.previous() == 2


def test_a_switch_that_was_interrupted_is_not_in_the_history(
    server: ObjectServer, store: Store, card: ModelCard
) -> None:
    for _ in range(2):
        publish(store, card)
    store.activate(1)
    writes = ("PUT", f"{ROOT}/current")
    server.fault = lambda request: 403 if (request.method, request.key) == writes else None
    with pytest.raises(AccessDenied):
        store.activate(2)
    server.fault = lambda _: None
    assert [each.after for each in store.history()] == [1]
    store.activate(2)
    assert [(each.before, each.after) for each in store.history()] == [(None, 1), (1, 2)]
    assert store.rollback().after == 1
    with pytest.raises(NoVersion, match="no version that was current before"):
        store.rollback()


def test_a_switch_by_hand_is_found(server: ObjectServer, store: Store, card: ModelCard) -> None:
    for _ in range(3):
        publish(store, card)
    store.activate(1)
    server.objects[f"{ROOT}/current"] = b"2\n"
    assert store.current() == 2
    store.activate(3)
    switches = [(each.action, each.before, each.after) for each in store.history()]
    assert switches == [("activate", None, 1), ("found", 1, 2), ("activate", 2, 3)]
    server.objects[f"{ROOT}/current"] = b"two\n"
    with pytest.raises(BrokenVersion, match="must hold a version number, not 'two'"):
        store.current()
    store.activate(3)
    assert store.current() == 3


def test_a_poll_is_one_conditional_request(
    server: ObjectServer, store: Store, card: ModelCard
) -> None:
    publish(store, card)
    store.activate(1)
    store.current()
    del server.received[:]
    assert store.current() == 1
    assert server.received == [Received("GET", f"{ROOT}/current", listing=False, conditional=True)]


# ---- pruning ------------------------------------------------------------------------------------


def test_what_was_current_lately_is_not_pruned(
    server: ObjectServer, store: Store, card: ModelCard
) -> None:
    for _ in range(6):
        publish(store, card)
    for number in (1, 2, 3):
        store.activate(number)
    assert store.prune(1, dry=True) == [4, 5]
    assert store.prune(1) == [4, 5]
    assert store.versions() == [1, 2, 3, 6]
    assert not any(f"{ROOT}/4/" in key for key in server.objects)


def test_a_version_that_becomes_current_while_it_is_pruned_stays(
    server: ObjectServer, machine: Callable[..., Store], card: ModelCard
) -> None:
    store = machine()
    for _ in range(3):
        publish(store, card)
    store.activate(3)

    def switched_meanwhile(request: Received) -> None:
        if request.method in ("DELETE", "POST"):
            server.fault = lambda _: None
            machine("other").activate(1)

    machine("other").open(1)
    server.fault = switched_meanwhile
    assert store.prune(1) == [2]
    assert machine("third").open().number == 1


# ---- failures -----------------------------------------------------------------------------------


def test_without_the_permission_to_list_the_current_version_is_served(
    server: ObjectServer, machine: Callable[..., Store], card: ModelCard
) -> None:
    publish(machine(), card)
    machine().activate(1)
    server.fault = lambda request: 403 if request.listing else None
    other = machine("other")
    assert other.open().number == other.current() == 1
    with pytest.raises(AccessDenied, match="do not allow to list s3://bucket/models/digits"):
        other.versions()


def test_the_copy_of_what_served_stands_in_for_the_bucket(
    server: ObjectServer, machine: Callable[..., Store], card: ModelCard
) -> None:
    publish(machine(), card)
    machine().activate(1)
    server.fault = lambda _: 503
    with pytest.raises(Unreachable):
        machine("service", serve_cached=True, timeout=0.1).current()
    server.fault = lambda _: None
    service = machine("service", serve_cached=True)
    assert isinstance(service, MirroredStore)
    service.keep_copies(service.open().number, None)
    server.fault = lambda _: 503
    again = machine("service", serve_cached=True, timeout=0.1)
    assert again.current() == again.open().number == 1
    assert again.versions() == [1]
    with pytest.raises(Unreachable):
        machine("service", timeout=0.1).current()  # a program that publishes must know


def test_the_copy_of_what_served_stands_in_for_a_version_that_cannot_be_copied(
    server: ObjectServer, machine: Callable[..., Store], card: ModelCard
) -> None:
    publish(machine(), card)
    machine().activate(1)
    service = machine("service", serve_cached=True, timeout=0.4)
    assert isinstance(service, MirroredStore)
    service.keep_copies(service.open().number, None)
    publish(machine("other"), card)
    machine("other").activate(2)
    server.fault = lambda request: 503 if request.key.endswith("2/model.onnx") else None
    reported: list[Unreachable | None] = []
    service.when_read = reported.append
    assert service.current() == 2
    assert service.open().number == 1
    assert "2/model.onnx cannot be reached" in str(reported[-1])
    with pytest.raises(Unreachable):
        machine("third", timeout=0.4).open()
    server.fault = lambda _: None
    assert service.open().number == 2


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"AWS_ACCESS_KEY_ID": "another"}, "the credentials do not allow to use s3://bucket/"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "cannot be reached: "),
        ({"AWS_ENDPOINT_URL": f"http://me:{SECRET}@127.0.0.1:1"}, "reached: http://127.0.0.1:1: "),
        ({"AWS_ALLOW_HTTP": "false"}, "must be https://, unless AWS_ALLOW_HTTP=true"),
        ({"AWS_ACCESS_KEY_ID": f"{KEY}\n"}, "AWS_ACCESS_KEY_ID holds a line break"),
        ({"AWS_SESSION_TOKEN": f"{SECRET}\n"}, "AWS_SESSION_TOKEN holds a line break"),
    ],
)
def test_a_wrong_variable_is_an_error_in_words(
    changed: dict[str, str],
    message: str,
    server: ObjectServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in changed.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DIGITSERVE_MODELS_CACHE", str(tmp_path))
    assert main(["list", "--models", URL]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert SECRET not in error
    assert KEY not in error


def test_a_folder_with_an_invalid_key_is_left_out_with_one_warning(
    server: ObjectServer, store: Store, card: ModelCard, caplog: pytest.LogCaptureFixture
) -> None:
    publish(store, card)
    server.objects[f"{ROOT}/a//b"] = server.objects[f"{ROOT}/7/c//d"] = b"of another program"
    assert store.versions() == store.versions() == [1]
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith(f"{URL}/digits/7/c is left out: ")
    assert f'"{ROOT}/a//" contained empty path segment. Rename or delete that object' in second


def test_an_invalid_key_beside_the_versions_is_named(server: ObjectServer, store: Store) -> None:
    server.objects[f"{ROOT}//b"] = b"of another program"
    with pytest.raises(StoreError, match=rf'digits cannot be listed: Path "{ROOT}//" contained'):
        store.versions()


def test_a_bucket_that_does_not_exist_is_named(machine: Callable[..., Store]) -> None:
    with pytest.raises(Unreachable, match="the bucket of s3://another/models does not exist"):
        machine(url="s3://another/models").current()


@pytest.mark.parametrize(
    "url", ["s3://key:password@bucket", "s3://bucket/a?key=password", "ftp://bucket", "s3://b/../c"]
)
def test_a_url_that_names_no_prefix_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(BadLocation, match="a model store is a folder, s3://bucket/prefix") as error:
        location_of(url)
    assert "password" not in str(error.value)


def test_the_url_of_a_folder_is_refused() -> None:
    with pytest.raises(BadLocation, match="named by its folder, without file://"):
        location_of("file:///models")


def test_without_obstore_the_error_names_its_group(
    monkeypatch: pytest.MonkeyPatch, machine: Callable[..., Store]
) -> None:
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(StoreError, match="pip install --group cloud"):
        machine()
