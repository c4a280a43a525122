"""From a model version to answers over HTTP.

    bytes --decode--> gray pixels --ink--> (28, 28) --batcher--> (n, 28, 28) --engine--> answers

`app` wires these together, `front` is the outermost door, `server` the life from start to drain.
`python -m service --help`. Never imports torch, training or export.
"""
