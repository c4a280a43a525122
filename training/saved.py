"""A run for a model that `save_model` wrote, which has no images of its own, to export it.

model.pt, test images --evaluate--> runs/<id>/
"""

from pathlib import Path

import numpy as np
import torch

from training.data import find_test_images
from training.evaluate import judge
from training.run import Checkpoint, Run

CALIBRATION = 1000  # images, for 8-bit integers; of the test images, as there are no others


def run_of_model(path: Path, data: str, runs: Path, *, mnist_dir: Path | None = None) -> Run:
    """A completed run under `runs` for the model in `path`, evaluated on the test part of `data`.

    `data` is the name of a data set, or a folder of images of the model's classes. Raises BadRun if
    `path` holds no model, BadData if the images do not suit it.
    """
    checkpoint = Checkpoint.load(path)
    name, (pixels, labels) = find_test_images(
        data, checkpoint.labels, prepare=checkpoint.prepare, mnist_dir=mnist_dir
    )
    test = torch.tensor(pixels), torch.tensor(labels).long()
    judged = judge(checkpoint.build(), *test, checkpoint.temperature, checkpoint.labels)
    facts = checkpoint.data_set.model_copy(update={"name": name, "test": len(labels)})
    evaluated = checkpoint.model_copy(update={"evaluation": judged.evaluation(), "data_set": facts})
    spread = np.linspace(0, len(pixels) - 1, min(CALIBRATION, len(pixels))).astype(int)
    run = Run.create(runs)
    run.finish(evaluated, (pixels, labels), None, pixels[spread], [], **judged.measured())
    return run
