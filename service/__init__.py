"""From a model version to answers over HTTP: `python -m service --help`.

    bytes --decode--> raster --ink--> (28, 28) --batcher--> (n, 28, 28) --engine--> answers

`__main__` runs `single` (one process), or with WORKERS above 1 `workers.supervisor`, which starts
`worker` that many times. `single` and `worker` both call `app.build` and run `server.Server`.

In reading order:

    __main__       the command: reads the settings, starts the log, chooses one process or several
    settings       every setting, read once from the environment
    single         the service in one process
    app            builds all parts of a process and connects them
    server         opens the port, serves, drains after a signal
    lifecycle      the state from start to drain, and the end of the process
    errors         exceptions that any part may raise, and the shape of a problem
    problem_types  every kind of problem that a response may report, by subject
    http           one request and its response: limits, errors, access control, headers;
                   `gateway` is the outermost ASGI application
    http/fast      the HTTP/1.1 protocol, and predictions and scrapes that it answers without ASGI
    api            the routes: what each request means and what its response contains
    batching       joins concurrent requests into few model calls
    tensors        the types of a model's input and outputs
    engine         ONNX Runtime: sessions, providers, and the check of what really runs
    models         versions: read from the store, checked, loaded, switched and unloaded
    memory         how much memory there is, and how much the processes may use
    telemetry      metrics, logs and traces
    workers        several processes on one port: their supervisor, sockets and messages
    worker         one of these processes, started by `workers.slots`

No module imports torch, training or export.
"""

import os

# ONNX Runtime 1.31 reports how it is used unless this is set before it is imported. Users of
# digitserve have not agreed to that; those that do may set it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
