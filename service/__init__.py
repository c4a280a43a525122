"""From a model version to answers over HTTP.

    bytes --decode--> raster --ink--> (28, 28) --batcher--> (n, 28, 28) --engine--> answers

`app` wires these together, `gateway` is the outermost door, `server` the life from start to drain.
`python -m service --help`. Never imports torch, training or export.
"""

import os

# ONNX Runtime 1.31 reports how it is used unless this is set before it is imported. Users of
# digitserve have not agreed to that; those that do may set it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
