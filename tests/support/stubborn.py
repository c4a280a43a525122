"""A program for tests: prints lines, and says that it was stopped."""

import os
import signal
import sys
import time


def main(word: str) -> int:
    if word == "nice":
        print(os.nice(0))
        return 0
    lines = 10**9 if word == "forever" else int(word)
    try:
        for number in range(1, lines + 1):
            print(f"line {number}")
            if word == "forever":
                time.sleep(0.1)
    except KeyboardInterrupt:
        print("stopped")
        return 130
    return lines


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main(sys.argv[1]))
