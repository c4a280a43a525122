"""Training: from images to a checkpoint.

    data set --augment--> network --evaluate, calibrate--> runs/<id>/

Read in this order:

    recipe, model, data    options; networks, whose layers are in `networks`; data sets
    augment, optimise      augmentation; optimisers and schedules
    loop                   the training loop
    evaluate, corruptions  accuracy, calibration, robustness
    task, train, run       its images, a whole training, and the folder that it writes

`own`, `idx`, `table` and `fetch` find images, `listing` lists them, `preparation` chooses how they
are prepared, `reading`, `cache` and `image` read them; `embedded`, `hands` and `strokes` generate
digits. `place` is the device; `watch`, `progress` and `plots` show the progress and the results;
`checkpoint` reads and writes weights; `sweep` searches for the best recipe. `__main__`, `flags`,
`commands` and `api` are the interfaces.

Tensors   pixels (n, h, w) uint8 gray or (n, h, w, 3) RGB; of digits 0 = paper, 255 = ink
          images (n, c, h, w) float32, 0..1: the input of the network and the augmentation
          logits (n, classes) float32
"""
