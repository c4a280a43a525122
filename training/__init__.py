"""From pictures of digits to a checkpoint.

    data set --augment--> network --evaluate, calibrate--> runs/<id>/

Read in this order: `recipe` (what can be turned), `data` (where digits come from), `model`,
`augment`, `loop` (the training itself), `evaluate`, `run` (what remains).
`python -m training --help` lists what can be turned.

Tensors   pixels (n, 28, 28) uint8, 0 = paper, 255 = ink
          ink    (n, 1, 28, 28) float32, 0..1: the same as the network and the augmentation see it
          logits (n, classes) float32
"""
