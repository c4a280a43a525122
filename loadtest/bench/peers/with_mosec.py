"""mosec: python -m loadtest.bench.peers.with_mosec PORT many|one|two; needs VERSION_FOLDER set.

Its HTTP server is in Rust; one Python process decodes and infers, whole batches at a time. Decoding
in a stage of its own would be one more process on the same core.

    many   64 images a batch, a batch timeout of 1 ms, the shortest possible. 16 and 32 a batch
           answered fewer at 64 connections, 5 ms not more.
    one    no batches: a single image would wait for the whole millisecond
    two    as many, with two of the processes
"""

import sys

from mosec import Runtime, Server, Worker

from loadtest.bench.peers.answers import Answers, Row


class Many(Worker):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self._answers = Answers()

    def deserialize(self, data: bytes) -> bytes:
        return data

    def forward(self, data: list[bytes]) -> list[Row]:
        return self._answers.rows(data)

    def serialize(self, data: Row) -> bytes:
        return self._answers.json(data)


class One(Many):
    def forward(self, data: bytes) -> Row:  # type: ignore[override]  # so mosec calls it
        return self._answers.rows([data])[0]


if __name__ == "__main__":
    port, how = sys.argv[1:]
    mosec_reads = ["--port", port, "--address", "127.0.0.1", "--log-level", "warning"]
    sys.argv[1:] = mosec_reads
    server = Server()
    workers = 2 if how == "two" else 1
    batched = Runtime(Many, num=workers, max_batch_size=64, max_wait_time=1)
    worker = Runtime(One) if how == "one" else batched
    server.register_runtime({"/v1/predict": [worker]})
    server.run()
