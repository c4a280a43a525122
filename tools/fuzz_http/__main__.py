"""Compare how the service and h11 read streams that are almost HTTP, and how the service answers on
its fast path and through ASGI alone.

    python -m tools.fuzz_http [--seed 1] [--streams 5000] [--cases 30000] [--stream N] [--case N]

Everything runs in this process: h11, and the service's protocol with a transport in memory. A
difference that is not an accepted deviation is printed with the command that replays it, and the
exit code is 1.
"""

import logging
import sys
from collections import Counter
from collections.abc import Sequence

import uvloop

from contract.command_line import program
from tools.fuzz_http.comparison import Comparison, Unexpected
from tools.fuzz_http.responses import compare
from tools.fuzz_http.streams import stream_of


def main() -> int:
    parser = program("tools.fuzz_http", __doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--streams", type=int, default=5000, help="that are compared with h11")
    parser.add_argument("--cases", type=int, default=30_000, help="answered in both ways")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--stream", type=int, help="the number of one stream of that seed")
    only.add_argument("--case", type=int, help="the number of one case of that seed")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)  # the service logs a warning for each stream that it rejects
    streams: Sequence[int] = range(arguments.streams)
    cases: Sequence[int] = range(arguments.cases)
    if arguments.stream is not None:
        streams, cases = [arguments.stream], []
    if arguments.case is not None:
        streams, cases = [], [arguments.case]
    failed = uvloop.run(fuzz(arguments.seed, streams)) if streams else 0
    return (uvloop.run(compare(arguments.seed, cases)) if cases else 0) or failed


async def fuzz(seed: int, numbers: Sequence[int]) -> int:
    comparison = Comparison()
    accepted: Counter[str] = Counter()
    wrong = 0
    for number in numbers:
        stream = stream_of(seed, number)
        try:
            deviation = await comparison.compare(stream)
        except Exception as error:  # on any exception, the stream that caused it is reported
            wrong += 1
            print(f"\nmake fuzz-http ARGS='--seed {seed} --stream {number}'")
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
