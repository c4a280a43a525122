"""The Open Inference Protocol, with Triton's extensions: see docs/open-inference.md.

    infer          requests --> pixels (n, 28, 28) --batcher--> Readings --answers--> tensors
    metadata       health, model, configuration, statistics: what only tells
    repository     which versions there are, and which serves

What it shares with /v1 (batcher, statistics, serving, problems) lies beside it in `service`, and
imports nothing from here but for the wiring (`app`) and the document.
"""
