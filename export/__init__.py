"""From a training run to a model version that is proven equal to it.

    runs/<id>/ --graph--> PyTorch module --artifacts--> model.onnx, model.ts
                                         --proof------> same answers on the test set, or nothing
                                         --store------> models/<name>/<version>/

`python -m export --help`.
"""
