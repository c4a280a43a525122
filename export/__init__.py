"""Export: from a training run to a model version that is proven equal to it.

    runs/<id>/ --graph--> PyTorch module --artifacts--> model.onnx, model.ts
                                         --proof------> equal predictions on the test set
                                         --store------> models/<name>/<version>/

`importing` does the same for a model that was trained elsewhere, an ONNX file or PyTorch weights.

`python -m export --help`.
"""

import os

# ONNX Runtime 1.31 sends usage data unless this is set before it is imported. Users of digitserve
# have not agreed to that. Set it to 0 to allow it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
