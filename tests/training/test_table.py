"""Kaggle's train.csv is a data set; errors name the column or the line at fault."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from contract.card import StretchPreparation
from preprocessing.preparation import preparer_of
from training.data import DataSet, find_data_set, find_test_images
from training.idx import BadData
from training.reading import Reading

SIDE = 8
HEADER = ["label", *(f"pixel{number}" for number in range(SIDE * SIDE))]
ROWS = [[row % 3, *(row + number for number in range(SIDE * SIDE))] for row in range(36)]


def write(path: Path, header: Sequence[object], rows: Sequence[Sequence[object]]) -> Path:
    lines = [",".join(map(str, row)) for row in [header, *rows]]
    path.write_text("\n".join(lines) + "\n")
    return path


def read(path: Path) -> DataSet:
    return find_data_set(path, reading=Reading(preparation="stretch"))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write(tmp_path / "train.csv", HEADER, ROWS)


def test_each_line_is_an_image_and_a_sixth_of_a_class_for_testing(table: Path) -> None:
    data = read(table)
    assert (data.shape, tuple(data.labels)) == ((SIDE, SIDE), ("0", "1", "2"))
    assert np.bincount(data.train[1]).tolist() == [10, 10, 10]
    assert np.bincount(data.test[1]).tolist() == [2, 2, 2]
    np.testing.assert_array_equal(data.train[0][0].ravel(), ROWS[0][1:])


def test_a_folder_may_hold_it_and_a_test_file_without_labels_is_not_used(
    table: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(table.parent / "test.csv", HEADER[1:], [row[1:] for row in ROWS])
    assert len(read(table.parent).test[0]) == 6
    assert "test.csv has no labels: it is not used" in caplog.text


def test_a_test_file_with_labels_is_the_test_part(table: Path) -> None:
    write(table.parent / "test.csv", HEADER, ROWS[:9])
    data = read(table.parent)
    assert (len(data.train[0]), len(data.test[0])) == (36, 9)


def test_the_columns_may_be_in_any_order_and_quoted(table: Path) -> None:
    names = [f'"{name}"' for name in reversed(HEADER)]
    other = write(table.parent / "other.csv", names, [row[::-1] for row in ROWS])
    np.testing.assert_array_equal(read(other).train[0], read(table).train[0])


def test_a_run_is_evaluated_on_the_test_share_or_on_the_test_file(table: Path) -> None:
    labels = ("0", "1", "2")
    prepare = preparer_of(StretchPreparation(size=(SIDE, SIDE)), (SIDE, SIDE))
    write(table.parent / "test.csv", HEADER[1:], [row[1:] for row in ROWS])  # without labels
    for path in (table, table.parent):
        pixels, _ = find_test_images(str(path), labels, prepare=prepare)[1]
        np.testing.assert_array_equal(pixels, read(table).test[0])
    write(table.parent / "test.csv", HEADER, ROWS[:9])
    assert len(find_test_images(str(table.parent), labels, prepare=prepare)[1][0]) == 9


def test_a_run_is_not_evaluated_on_other_classes(table: Path) -> None:
    with pytest.raises(BadData, match="images of unknown classes: 2; the known classes are 0, 1"):
        find_test_images(str(table), ("0", "1"))


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        (HEADER[1:], ROWS[0][1:], "it has no column label"),
        (["label", "name"], [1, 2], "it has no column pixel0"),
        ([*HEADER[:5], *HEADER[6:]], ROWS[0][1:], "has no column pixel4"),
        (HEADER[:-1], ROWS[0][:-1], "63 columns of pixels, pixel0 to pixel62: that is not the sq"),
        (HEADER, ROWS[0][:-1], "line 38 has 64 values, not 65"),
        (HEADER, [0, 256, *ROWS[0][2:]], "line 38 has '256' in column pixel0, .* from 0 to 255"),
        (HEADER, [0, -1, *ROWS[0][2:]], "line 38 has '-1' in column pixel0"),
        (
            HEADER,
            ["cat", *ROWS[0][1:]],
            "line 38 has 'cat' in column label, .*: number the classes, or",
        ),
    ],
)
def test_the_error_names_the_column_or_the_line(
    tmp_path: Path, header: list[str], row: list[object], message: str
) -> None:
    rows = [each[: len(header)] for each in ROWS]
    path = write(tmp_path / "mine.csv", header, [*rows, row])
    with pytest.raises(BadData, match=rf"mine\.csv.*{message}"):
        read(path)


def test_a_table_of_one_class_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.csv", HEADER, [[3, *row[1:]] for row in ROWS])
    with pytest.raises(BadData, match=r"mine\.csv has images of one class, 3: add"):
        read(path)


def test_a_table_without_lines_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.csv", HEADER, [])
    with pytest.raises(BadData, match=r"mine\.csv has no images"):
        read(path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_bytes(b"\x89PNG\r\n\xff\xfe")
    with pytest.raises(BadData, match=r"mine\.csv is not a text"):
        read(tmp_path / "mine.csv")
