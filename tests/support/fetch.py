"""httpx2's functions, each request over a separate connection, without creating a TLS context.

httpx2 loads all certificate authorities at each call of `httpx2.get`, which takes 50 ms of CPU.
"""

import httpx2

_CLIENT = httpx2.Client(verify=False, limits=httpx2.Limits(max_keepalive_connections=0))

delete, get, options = _CLIENT.delete, _CLIENT.get, _CLIENT.options
post, put, request, stream = _CLIENT.post, _CLIENT.put, _CLIENT.request, _CLIENT.stream
head = _CLIENT.head
