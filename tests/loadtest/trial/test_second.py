"""What the recorder of each process writes is put together, second by second."""

import json
from pathlib import Path
from typing import Any

from loadtest.trial.second import Recording, Told, by_kind
from tests.loadtest.trial.played import told

PNG = {"failed": 1, "refused": 2, "ms": {"2": 98, "40": 2}}


def line(at: int, users: int, **kinds: dict[str, Any]) -> str:
    return json.dumps({"at": at, "users": users, "kinds": kinds}) + "\n"


def test_processes_are_added_up(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_text(line(7, 3, png=PNG))
    (tmp_path / "2.jsonl").write_text(line(7, 2, png=PNG, json=PNG))
    (second,) = Recording(tmp_path).seconds()
    assert (second.at, second.users, set(second.kinds)) == (7, 5, {"png", "json"})
    png = second.kinds["png"]
    assert (png.right, png.failed, png.refused, png.asked) == (200, 2, 4, 206)
    assert png.errors == 6 / 206
    assert second.told.asked == 309


def test_a_second_is_told_when_every_process_has_written_it(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    assert recording.seconds() == []
    (tmp_path / "1.jsonl").write_text(line(7, 3) + line(8, 3))
    (tmp_path / "2.jsonl").write_text(line(7, 2) + line(8, 2)[:9])
    assert [second.users for second in recording.seconds()] == [5]
    with (tmp_path / "2.jsonl").open("a") as rest:
        rest.write(line(8, 2)[9:])
    assert [second.users for second in recording.seconds()] == [5, 5]


def test_a_process_that_died_holds_the_end_back_no_longer_than_to_the_end(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    (tmp_path / "1.jsonl").write_text(line(7, 3) + line(8, 3))
    (tmp_path / "2.jsonl").write_text(line(7, 2))
    assert [second.at for second in recording.seconds()] == [7]
    assert [second.at for second in recording.seconds(ended=True)] == [7, 8]


def test_time_begins_with_the_first_user(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_text(line(6, 0) + line(7, 1) + line(8, 0))
    assert [second.at for second in Recording(tmp_path).seconds()] == [7, 8]


def test_a_quantile_is_a_time_that_was_measured() -> None:
    times = told(100, 0.010)
    assert [times.quantile(q) for q in (0.5, 0.98, 0.99, 1)] == [0.010, 0.010, 0.020, 0.020]
    assert (Told().quantile(0.99), Told().errors) == (0, 0)


def test_kinds_are_told_over_all_seconds(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_text(line(7, 3, png=PNG) + line(8, 3, png=PNG, json=PNG))
    kinds = by_kind(Recording(tmp_path).seconds())
    assert {name: each.asked for name, each in kinds.items()} == {"json": 103, "png": 206}
