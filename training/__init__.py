"""Training: from images to a checkpoint.

    data set --augment--> network --evaluate, calibrate--> runs/<id>/

Read in this order:

    recipe, model, data    options; networks; data sets
    augment, optimise      variations of images; optimisers and schedules
    loop                   the training itself
    evaluate, corruptions  accuracy, calibration, robustness
    train, run             a whole training, and the folder that it writes

`own`, `idx`, `fetch`, `picture`, `embedded` and `strokes` read or make data; `task` holds it as
tensors, `place` the device; `watch`, `progress`, `board` and `plots` show the progress and the
result; `checkpoint` and `pretrained` read and write weights. `__main__`, `commands` and `api` are
the interfaces.

Tensors   pixels (n, 28, 28) uint8, 0 = paper, 255 = ink
          ink    (n, 1, 28, 28) float32, 0..1: the same as the network and the augmentation see it
          logits (n, classes) float32
"""
