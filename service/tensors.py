"""What goes into a model and what comes out of it: n pictures in, n rows of each output."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  # (n, 28, 28), 0 = paper, 255 = ink
Rows = NDArray[np.float32]  # (n, labels)


class Answers(NamedTuple):
    logits: Rows
    probabilities: Rows
