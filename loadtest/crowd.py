"""The asyncio client in several processes, for a service that keeps more than one core busy.

They begin together: each waits until all have started, and so does the clock.
"""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from loadtest import client
from loadtest.client import Told
from loadtest.load import Address, Load

PATIENCE = 60.0  # seconds until all have started


def ask(
    address: Address, requests: list[bytes], *, connections: int, seconds: float, threads: int = 1
) -> Load:
    """`threads` is what wrk calls them; in Python they are processes."""
    if threads == 1:
        return client.ask(address, requests, connections=connections, seconds=seconds)
    context = get_context("spawn")
    together = context.Barrier(threads, timeout=PATIENCE)
    with ProcessPoolExecutor(threads, context, initializer=together.wait) as pool:
        asking = [
            pool.submit(client.told, address, requests, each, seconds)
            for each in shares(connections, threads)
        ]
        told: list[Told] = [each.result() for each in asking]
    return client.load_of(told)


def shares(connections: int, processes: int) -> list[int]:
    """As even as can be."""
    each, more = divmod(connections, processes)
    return [each + (number < more) for number in range(processes)]
