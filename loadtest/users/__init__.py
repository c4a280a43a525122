"""Locust's users: what they send, what they expect, how many there are.

    GET /v1/samples/random --> digits --> requests, of each kind, with what must come back
                                             | each asked once at rest: what is misread is left out
                                             v
    shape --> users, each of a kind --> POST --> right | wrong | refused      locust's statistics

`settings` is what may be told, `digit`, `drawing` and `bodies` make requests, `answers` judges,
`wrong` is what must be refused, `rehearsal` is what happens before the load, `client` and `kinds`
are the users, `courses` and `breaking` are the shapes, which `shaped` and `page` give to locust.
Client, kinds, sending, rehearsal, shaped and page import locust, which puts gevent's sockets under
everything; the others do not. Seconds, bytes, fractions.
"""
