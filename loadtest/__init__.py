"""What the service carries and what it costs, measured over HTTP. docs/loadtest.md

    __main__   what users get as there are more of them       users/ as locust makes them, trial/
    capacity/  the highest rate at which a promise holds      openloop/: nobody waits for an answer
    soak/      what grows and what fails in half an hour      users/, and a switch every minute
    bench      what it costs, next to what it cannot cost     wrk, or crowd; peers/ are others
               less than, and next to peers
    bench_gpu  what a GPU does with 1 to N workers, and how much of it is left
    drawn      whether drawings are read

The bench:

    samples.png --> PNGs --> requests --wrk--> echo | service | peers     req/s, p50, p99
                                               CPU us a request, memory, from /proc
                    PNGs --> decode, network                              CPU us a picture

The echo app, the decoder and the network alone, added up, are the limit: a service in Python that
does nothing of its own. `bench` runs them in turn with the service, several rounds of it, so that
what disturbs the machine disturbs all alike. All speak HTTP and read the files of a model version;
none knows of the service's code.
"""

import os

# ONNX Runtime 1.31 reports how it is used unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
