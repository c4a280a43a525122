"""What goes into a model and what comes out of it: n images in, n rows of each output."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  # (n, h, w) gray or (n, h, w, 3) RGB, as the model card says
Rows = NDArray[np.float32]  # (n, labels)


class Answers(NamedTuple):
    logits: Rows
    probabilities: Rows
