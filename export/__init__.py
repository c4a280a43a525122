"""From a training run to a model version that is proven equal to it.

    runs/<id>/ --graph--> PyTorch module --artifacts--> model.onnx, model.ts
                                         --proof------> same answers on the test set, or nothing
                                         --store------> models/<name>/<version>/

`python -m export --help`.
"""

import os

# ONNX Runtime 1.31 reports how it is used unless this is set before it is imported. Users of
# digitserve have not agreed to that; set it to 0 to allow it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
