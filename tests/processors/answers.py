"""The predictions of the committed version on this processor: python -m tests.processors.answers

Prints a JSON object: precision -> whether the golden set passes, how many test images get another
prediction than with PyTorch, and the SHA-256 of all logits.
"""

import json
from hashlib import sha256

from contract.store import Store
from service.engine.engine import Engine
from service.engine.providers import FILES
from service.models.golden import check_golden
from tests.fixtures import MODELS, Judged


def main() -> None:
    version, judged = Store(MODELS, "digits").open(), Judged.load()
    found = {}
    for precision in FILES:
        engine = Engine(version, provider="cpu", threads=1, precision=precision, max_batch=2)
        check_golden(version, engine)
        logits = engine(judged.pixels).logits
        found[precision] = {
            "different_answers": int((logits.argmax(1) != judged.digits).sum()),
            "sha256": sha256(logits.tobytes()).hexdigest(),
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
