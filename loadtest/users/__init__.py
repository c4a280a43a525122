"""Locust's users: what they send, what they expect, how many there are.

    GET /v1/samples/random --> digits --> requests, of each kind, with what must come back
                                             | each sent once at rest: what is misread is left out
                                             v
    shape --> users, each of a kind --> POST --> right | wrong | refused      locust's statistics

`settings` are the arguments, `requests` makes requests, `checks` judges answers, `rehearsal` is
what happens before the load, `user` holds the users, `courses` their numbers over time, which
`shapes` and `web_form` give to locust. user, rehearsal, shapes and web_form import locust,
which puts gevent's sockets under everything; the others do not. Seconds, bytes, fractions.
"""
