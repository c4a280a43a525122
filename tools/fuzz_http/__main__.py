"""Parse streams that are almost HTTP with the service and with h11, and compare the results.

    python -m tools.fuzz_http [--seed 1] [--streams 5000] [--only NUMBER]

Everything runs in this process: h11, and the service's protocol with a transport in memory, once on
its fast path and once through ASGI. A difference that is not an accepted deviation is printed with
the command that replays it, and the exit code is 1.
"""

import asyncio
import logging
import sys
from argparse import ArgumentParser
from collections import Counter

from tools.fuzz_http.comparison import Comparison, Unexpected
from tools.fuzz_http.streams import stream_of


def main() -> int:
    parser = ArgumentParser("python -m tools.fuzz_http")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--streams", type=int, default=5000)
    parser.add_argument("--only", type=int, help="the number of one stream of that seed")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)  # the service logs a warning for each stream that it rejects
    numbers = range(arguments.streams) if arguments.only is None else [arguments.only]
    return asyncio.run(fuzz(arguments.seed, numbers))


async def fuzz(seed: int, numbers: range | list[int]) -> int:
    comparison = Comparison()
    accepted: Counter[str] = Counter()
    wrong = 0
    for number in numbers:
        stream = stream_of(seed, number)
        try:
            deviation = await comparison.compare(stream)
        except Exception as error:  # on any exception, the stream that caused it is reported
            wrong += 1
            print(f"\nmake fuzz-http ARGS='--seed {seed} --only {number}'")
            print(f"{stream.pieces}\n{type(error).__name__}: {error}")
            if not isinstance(error, (Unexpected, AssertionError)):
                raise
        else:
            accepted[deviation.what if deviation else ""] += 1
    print(f"\nseed {seed}: {len(numbers)} streams, {accepted.pop('', 0)} read alike, {wrong} not")
    for what, times in accepted.most_common():
        print(f"{times:6}  {what}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
