"""Many labels: the likeliest are chosen without sorting all; metrics count the rest together."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from service.api.predictions import largest
from service.models.loading import metric_labels

ROWS = st.tuples(st.integers(1, 4), st.integers(1, 60)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.sampled_from([0.0, 0.1, 0.2, 0.5]))
)


@given(ROWS, st.integers(1, 70))
def test_the_largest_are_in_descending_order_and_of_equals_the_first_is_first(
    rows: np.ndarray[tuple[int, int], np.dtype[np.float32]], count: int
) -> None:
    for row, found in zip(rows.tolist(), largest(rows, count).tolist(), strict=True):
        assert found == sorted(range(len(row)), key=lambda index: -row[index])[:count]


def test_metrics_shorten_long_labels_and_tell_them_apart() -> None:
    long = "a very long label of a class " * 9
    assert metric_labels(["cat", long + "1", long + "2"]) == ["cat", long[:64], f"{long[:60]} (2)"]


def test_a_class_that_is_called_other_is_not_counted_with_the_rest() -> None:
    many = ["other", *map(str, range(150))]
    assert metric_labels(many) == ["other (class)", *many[1:100], *["other"] * 51]
    assert metric_labels(["this", "other"]) == ["this", "other"]
