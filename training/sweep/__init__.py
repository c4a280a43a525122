"""A search for the best recipe: python -m training sweep --search learning_rate=1e-2:0.5:log ...

    search space --Optuna--> options of a trial --python -m training--> runs/sweep/<name>/trial-<n>/
                    ▲                                                        │ metrics.jsonl
                    └── validation accuracy of each epoch: continue or stop ─┘

    command  the flags, and the loop that runs trials until there are enough
    space    the options that are searched, and their ranges
    study    the trials, in a journal file or in Postgres, which several processes share
    trial    one training as a process of its own, which is stopped if it is worse than others
    report   the table and best.json; `plots` draws accuracy and importance

Optuna is an optional group of packages: this package is imported only by the command.
"""
