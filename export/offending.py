"""When the proof fails: the pictures it failed on, for a person to look at.

runs/<id>/failed_proof/report.json                          what differed, picture by picture
                       00042-label-7-pytorch-7-model.onnx-1.png
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from export.proof import Answers, ProofFailed
from export.runners import Pixels

FOLDER = "failed_proof"
MOST = 100  # pictures that are saved


def save_offending(
    run: Path,
    failure: ProofFailed,
    reference: Answers,
    pixels: Pixels,
    labels: NDArray[np.uint8],
) -> Path:
    """Write them into `run`, in place of what an earlier failure left; returns the folder."""
    discard_offending(run)
    folder = run / FOLDER
    folder.mkdir()
    pictures = []
    for index in failure.offending[:MOST].tolist():
        facts = _facts(failure, reference, index, int(labels[index]))
        name = (
            f"{index:05}-label-{facts['label']}-pytorch-{facts['pytorch']['answer']}"
            f"-{failure.artifact}-{facts['artifact']['answer']}.png"
        )
        Image.fromarray(pixels[index]).save(folder / name)
        pictures.append({"file": name, **facts})
    report = {
        "artifact": failure.artifact,
        "failure": str(failure),
        "offending": len(failure.offending),
        "pictures": pictures,
    }
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    return folder


def discard_offending(run: Path) -> None:
    shutil.rmtree(run / FOLDER, ignore_errors=True)


def _facts(failure: ProofFailed, reference: Answers, index: int, label: int) -> dict[str, Any]:
    assert failure.answers is not None, "who proves leaves the answers"
    return {
        "index": index,
        "label": label,
        "pytorch": _row(reference, index),
        "artifact": _row(failure.answers, index),
    }


def _row(answers: Answers, index: int) -> dict[str, Any]:
    # As text where JSON has no word for it: a failed proof is where NaN turns up.
    logits = [round(x, 6) if np.isfinite(x) else str(x) for x in answers.logits[index].tolist()]
    return {"answer": int(answers.digits[index]), "logits": logits}
