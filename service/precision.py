"""Which file of a version runs.

`auto` takes half precision on a GPU if this version lost nothing by it, and float32 otherwise: half
precision and integers are there for processors with instructions for them, and slower on others.
"""

from contract.card import FP16, INT8, ONNX, ModelCard
from service.facts import AskedPrecision, Precision, Provider
from service.providers import EngineRefused

FILES: dict[Precision, str] = {"fp32": ONNX, "fp16": FP16, "int8": INT8}


def choose(asked: AskedPrecision, provider: Provider, card: ModelCard) -> Precision:
    """EngineRefused if the version has no such file."""
    if asked == "auto":
        return "fp16" if provider != "cpu" and lost_nothing(card) else "fp32"
    name = FILES[asked]
    if name not in card.files:
        reason = card.left_out.get(name, "it was not exported")
        raise EngineRefused(
            f"the precision {asked} was asked for, but this version has no {name} ({reason}): "
            "`make export` makes a version with every artifact"
        )
    return asked


def lost_nothing(card: ModelCard) -> bool:
    """Whether half precision answers the whole test set no worse than float32, by the proof.

    No worse: each answer that differs from PyTorch's turned from wrong to right. So it is right on
    more test pictures than float32 by at least the number of answers that differ; as a rule both
    are 0. The proof ran on a CPU; the golden set is what checks the GPU.
    """
    if FP16 not in card.files or FP16 not in card.parity or ONNX not in card.parity:
        return False
    half, full = card.parity[FP16], card.parity[ONNX]
    more_right = round((half.accuracy - full.accuracy) * card.data_set.test)  # pictures
    return more_right >= half.different_answers
