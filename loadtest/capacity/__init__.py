"""The highest rate at which a service keeps its promise, and how many of it a target rate needs.

    Slo, Ladder --search--> probes: an open loop at one rate for some seconds, holds or does not
        | repeated, each time with the server started anew
        v
    highest rates --median, its interval--> capacity --replicas--> replicas and cores

`python -m loadtest.capacity --help`.
"""
