"""A service under faults that are drawn from a seed, watched by clients that check each answer.

    schedule      what will go wrong and when: from the seed alone
    faults        makes it go wrong: processes, the store, the disk, memory, the pipe
    unruly        clients that misbehave, which are faults too
    clients       clients of every kind; each compares its answers with what the version answers
    watching      probes, scrapes, processes: what can be seen from outside
    history       what happened, as all of these recorded it
    checker       judges a history: findings, and what was lost with the reason that allows it

docs/chaos.md says what may be lost and how to replay a run.
"""
