"""A service under faults drawn from a seed, with clients that check each answer.

    schedule      which faults happen and when: from the seed alone
    faults        causes them: processes, the store, the disk, memory, the pipe
    unruly        clients that misbehave, which are faults too
    clients       clients of every kind; each compares its answers with those of the version
    watching      probes, scrapes, processes: observations from outside
    history       what happened, as recorded by all of these
    checker       judges a history: findings, and lost requests with the reason that allows it

docs/explanation/chaos.md describes what may be lost and how to replay a run.
"""
