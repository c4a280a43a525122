"""What the service carries and what it costs, measured over HTTP. See docs/how-to/loadtest.md.

    __main__   what users get as there are more of them       users/ with locust; ramp/
    capacity/  the highest rate at which an SLO holds         client/openloop/: an open loop
    soak/      what grows and what fails in half an hour      users/, and a switch every minute
    bench/     its cost, against a lower bound and            wrk, or asyncio; peers/ are those
               other frameworks                               frameworks
    bench_gpu/ what a GPU does with 1 to N workers, and how much of it is left
    drawings/  how many drawings are classified correctly

The bench:

    samples.png --> PNGs --> requests --wrk--> echo | service | peers     req/s, p50, p99
                                               CPU us a request, memory, from /proc
                    PNGs --> decode, network                              CPU us an image

The echo app, the decoder and the network alone, added up, are the limit: a service in Python
without code of its own. `bench` runs them in turn with the service, for several rounds, so that a
disturbance of the machine affects all of them. All speak HTTP and read the files of a model
version; none imports the service's code.
"""

import os

# ONNX Runtime 1.31 sends telemetry unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
