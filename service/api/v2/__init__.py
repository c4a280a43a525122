"""The Open Inference Protocol, with Triton's extensions: see docs/reference/open-inference.md.

infer          requests --> pixels (n, 28, 28) --batcher--> predictions --responses--> tensors
metadata       health, model, configuration and statistics, which change nothing
repository     which versions there are, and which of them serves
"""
