"""A generator that sends when it is time, whether or not the server has answered: an open loop.

    rate, seconds, seed --arrivals--> intended times
    intended times, requests --generator--> Outcomes: one row a request    (a process, a core)
                   |
                   +--several--> the same from more processes, each with its share of the rate

Clients in a closed loop wait for one answer before they ask again. When the server stalls they
stall with it, and the requests that would have come meanwhile are never sent: the stall counts
once. Here each request has a time at which it is due, drawn beforehand, and its latency is counted
from that time: a server that stalls, and a generator that is late, are not flattered.
"""
