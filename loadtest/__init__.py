"""What the service costs, next to what it cannot cost less than.

    samples.png --> PNGs --> requests --wrk--> echo | service | peers     req/s, p50, p99
                                               CPU us a request, memory, from /proc
                    PNGs --> decode, network                              CPU us a picture

The echo app, the decoder and the network alone, added up, are the limit: a service in Python that
does nothing of its own. `bench` runs them in turn with the service, several rounds of it, so that
what disturbs the machine disturbs all alike. Speaks HTTP and reads the files of a model version;
knows nothing of the service's code. `python -m loadtest.bench --help`.

`bench_gpu` asks something else: what a GPU does with 1 to N workers, and how much of it is left.
"""

import os

# ONNX Runtime 1.31 reports how it is used unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
