"""What is told of a trained network: in the metrics file and on the screen."""

import sys
from typing import Any

from training.evaluate import Judged
from training.place import Place


def measured_of(judged: Judged) -> dict[str, Any]:
    """What training_metrics.json holds beside the checkpoint's own evaluation."""
    return {
        "accuracy": judged.accuracy,
        "confusion_matrix": judged.confusions().tolist(),
        "commonest_confusions": judged.commonest_confusions(),
        "reliability": [
            {"confidence": bar.confidence, "accuracy": bar.accuracy, "count": bar.count}
            for bar in judged.reliability()
        ],  # what reliability.png draws, for who draws it otherwise
    }


def summary(judged: Judged) -> str:
    found = judged.evaluation()
    return (
        f"{found.accuracy:.2%} of {len(judged.labels):,} test pictures right, calibration error "
        f"{found.calibration_error:.2%}"
    )


def say(place: Place, line: str) -> None:
    """To the person at the first process."""
    if place.first:
        print(line, file=sys.stderr, flush=True)
