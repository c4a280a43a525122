"""Checks of answers: each returns a complaint, which is empty if the answer is right.

A right answer is complete: one prediction an image, probabilities whose sum is 1 (of models with
many labels, those of the likeliest), and the label of the image. Every answer is checked, in some
10 us.
"""

import json
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

REFUSED = ", refused"  # after the name of a request that was
HEAD = "Inference-Header-Content-Length"
ENOUGH = 100  # bytes of an answer that are shown

Check = Callable[[bytes, Mapping[str, str]], str]  # body, headers -> complaint


def predicted(labels: Sequence[str], body: bytes, _: Mapping[str, str]) -> str:
    """Check an answer of /v1/predict to images with these labels."""
    try:
        read = [_label(prediction) for prediction in json.loads(body)["predictions"]]
    except (ValueError, KeyError, TypeError) as error:
        return f"no prediction: {type(error).__name__} in {shown(body)}"
    return "" if read == labels else f"read {' '.join(read)}, not {' '.join(labels)}"


def inferred(column: int, body: bytes, headers: Mapping[str, str]) -> str:
    """Check an answer of the Open Inference Protocol: probabilities of one image, as bytes."""
    try:
        length = int(headers[HEAD])
        (output,) = json.loads(body[:length])["outputs"]
        one, classes = output["shape"]
        probabilities = struct.unpack(f"<{classes}f", body[length:])
    except (ValueError, KeyError, TypeError, struct.error) as error:
        return f"no probabilities: {type(error).__name__} in {shown(body)}"
    if one != 1 or not _sum_to_1(probabilities):
        return f"no probabilities: {probabilities}"
    read = probabilities.index(max(probabilities))
    return "" if read == column else f"read class {read}, not {column}"


def shown(body: bytes) -> str:
    return body[:ENOUGH].decode(errors="replace")


def reason_of(body: bytes) -> str:
    """The reason in a refusal, without its request id: locust counts equal texts together."""
    try:
        problem = json.loads(body)
        return str(problem.get("detail") or problem["error"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return shown(body)


def _label(prediction: dict[str, Any]) -> str:
    probabilities = prediction.get("probabilities")
    if probabilities is None:
        probabilities = [each["confidence"] for each in prediction["top_k"]]
    elif not _sum_to_1(probabilities):
        raise ValueError
    if prediction["confidence"] != max(probabilities) or not isinstance(prediction["index"], int):
        raise ValueError
    return str(prediction["label"])


def _sum_to_1(probabilities: Sequence[float]) -> bool:
    return math.isclose(math.fsum(probabilities), 1, abs_tol=1e-3)
