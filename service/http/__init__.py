"""One HTTP request and its one response, before any route: limits, errors, access, headers.

`fast` serves predictions, probes and scrapes on the connection itself; `gateway` is the ASGI
application for everything else.
"""
