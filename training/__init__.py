"""From pictures to a checkpoint.

    data set --augment--> network --evaluate, calibrate--> runs/<id>/

Read in this order:

    recipe, model, data    what can be turned; what is trained; what on
    augment, optimise      how pictures are varied and weights follow gradients
    loop                   the training itself
    evaluate, corruptions  how good it is
    train, finish, run     from beginning to end, and what remains on disk

Then what serves these: `own`, `idx`, `fetch`, `picture`, `embedded` and `strokes` bring data;
`task`, `place` and `machine` know what runs where; `watch`, `progress`, `board`, `plots` and
`report` show what happens; `pretrained` begins from somebody's weights. `__main__`, `commands` and
`api` are the doors.

Tensors   pixels (n, 28, 28) uint8, 0 = paper, 255 = ink
          ink    (n, 1, 28, 28) float32, 0..1: the same as the network and the augmentation see it
          logits (n, classes) float32
"""
