"""A network that was saved to one file, by `save_model`, as a run that can be exported.

Such a file has no images. The test part of a data set or folder takes the place of the run's test
images, less those on which the ranges of 8-bit integers are measured.
"""

from pathlib import Path

import torch

from export.artifacts import part_for_calibration
from training.checkpoint import BadRun, Checkpoint
from training.data import find_test_images
from training.evaluate import judge
from training.run import Run
from training.settings import mnist_dir


def run_of(
    path: Path, data: str | None, runs: Path, network: str | None = None, *, calibrate: bool
) -> Run:
    """A new run in `runs` with the network of the file, evaluated on the test images of `data`.

    It does not become the latest run. `network` is as in `Checkpoint.load`. `calibrate` sets some
    of the images apart, for 8-bit integers. Raises BadRun, or BadData if there are no such images.
    """
    if data is None:
        raise BadRun(
            f"{path} has no test images on which an export can be proven: name a data set or a "
            "folder of images with --data"
        )
    try:
        checkpoint = Checkpoint.read(path)
    except BadRun as error:
        raise BadRun(
            f"{error}. A plain state dict is imported: python -m export import --torch NETWORK "
            f"--weights {path}"
        ) from error
    checkpoint = checkpoint.permitted(path, network)
    _, (pixels, labels) = find_test_images(
        data, checkpoint.labels, prepare=checkpoint.prepare, mnist_dir=mnist_dir()
    )
    calibration = pixels[:0]
    if calibrate:
        if len(pixels) < 2:
            raise BadRun(
                f"{data} has one test image, and 8-bit integers need another to be calibrated on: "
                "use --artifacts onnx"
            )
        apart, rest = part_for_calibration(pixels)
        calibration, pixels, labels = pixels[apart], pixels[rest], labels[rest]
    judged = judge(
        checkpoint.build(),
        torch.from_numpy(pixels),
        torch.from_numpy(labels.astype("int64")),
        checkpoint.temperature,
        checkpoint.labels,
    )
    source = f"{checkpoint.data_set.source}; tested on {data}"
    facts = checkpoint.data_set.model_copy(update={"source": source, "test": len(labels)})
    tested = checkpoint.model_copy(update={"data_set": facts, "evaluation": judged.evaluation()})
    run = Run.create(runs)
    run.complete(tested, (pixels, labels), None, calibration, (), history=[], **judged.measured())
    return run
