"""The likeliest classes of many, chosen without sorting all of them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from service.api.predictions import largest

ROWS = st.tuples(st.integers(1, 4), st.integers(1, 60)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.sampled_from([0.0, 0.1, 0.2, 0.5]))
)


@given(ROWS, st.integers(1, 70))
def test_the_largest_are_in_descending_order_and_of_equals_the_first_is_first(
    rows: np.ndarray[tuple[int, int], np.dtype[np.float32]], count: int
) -> None:
    for row, found in zip(rows.tolist(), largest(rows, count).tolist(), strict=True):
        assert found == sorted(range(len(row)), key=lambda index: -row[index])[:count]
