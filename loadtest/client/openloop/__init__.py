"""A generator that sends when it is time, whether or not the server has answered: an open loop.

    rate, seconds, seed --poisson--> intended times
    intended times, requests --generator--> Outcomes: one row a request    (a process, a core)
                   |
                   +--processes--> the same from several, each with its share of the rate

Clients in a closed loop wait for one answer before they send the next request. When the server
stalls they stall with it, and the requests of that time are never sent: the stall counts once. Here
each request has a time at which it is due, drawn beforehand, and its latency is counted from that
time: neither the server's stalls nor the generator's delays make the latency look better.
"""
