"""What will it carry? Locust's users ask a service, which is watched: python -m loadtest

    python -m loadtest                                    starts a service, 50 to 400 users
    python -m loadtest --host http://127.0.0.1:8000       asks one that runs
    python -m loadtest --p99 20ms --errors 0.01%          exit code 1 if that does not hold
    python -m loadtest --shape ramp --users 2000 --run-time 3m --break-p99 100ms
    python -m loadtest -- --loglevel DEBUG                what is behind -- is for locust

Prints a line a second, then what was found, and leaves a report with pictures in
loadtest/results/<UTC time>/. Exit code: 0 the SLO (--p99, --errors) holds, 1 it does not, 2 it
could not be measured. Ctrl-C ends all that was started and reports what was measured until then.
"""

import signal
import sys

from loadtest.errors import CannotMeasure
from loadtest.trial import document, files
from loadtest.trial.options import Options
from loadtest.trial.trial import measured
from loadtest.trial.verdict import NOT_MEASURED

INTERRUPTED = 128 + signal.SIGINT  # as shells call it


def main(words: list[str] | None = None) -> int:
    words = sys.argv[1:] if words is None else words
    options = Options.read(words)
    try:
        result = measured(options, " ".join(["python -m loadtest", *words]))
    except CannotMeasure as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return NOT_MEASURED
    files.write(result)
    print(f"\n{document.plain(result)}\n\nreport: {result.folder}/report.md")
    return INTERRUPTED if result.stopped else result.verdict.code


if __name__ == "__main__":
    # Whoever ends this means all that it has started; Ctrl-C already does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
