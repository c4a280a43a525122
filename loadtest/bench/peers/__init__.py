"""The same work in other serving frameworks: the same route, decoder, network and JSON.

Each module is a server in its own environment, with the framework and what `answers` needs:
python -m loadtest.bench.peers.with_mosec, with_litserve, with_bentoml, with_fastapi.
"""
