"""What is going on, in a line: written over each second on a terminal, else every five seconds."""

import sys
import time
from statistics import fmean
from subprocess import Popen
from typing import TextIO

from loadtest.trial.second import Recording, Second, Told
from loadtest.trial.step import Asking, Service
from loadtest.trial.tables import milliseconds
from loadtest.watch import Look

EVERY, EVERY_UNSEEN = 1.0, 5.0  # seconds
RECENT = 5  # looks


def follow(
    locust: "Popen[bytes]",
    recording: Recording,
    looks: list[Look],
    asking: Asking,
) -> None:
    """Until locust has ended by itself."""
    out = sys.stdout
    over = out.isatty()
    shown = 0  # seconds
    began = time.monotonic()
    while locust.poll() is None:
        time.sleep(0.2)
        if time.monotonic() - began < (EVERY if over else EVERY_UNSEEN):
            continue
        began = time.monotonic()
        seconds = recording.seconds()
        if len(seconds) > shown:
            _say(line(seconds[shown:], looks, asking), over, out)
            shown = len(seconds)
    if over and shown:
        print(file=out)


def line(seconds: list[Second], looks: list[Look], asking: Asking) -> str:
    """`seconds` are those that were not told yet."""
    last, told = seconds[-1], Told.together(second.told for second in seconds)
    offered = asking.offered(fmean(second.users for second in seconds))
    parts = [
        f"{last.at + 1 - asking.started:4.0f} s",
        f"{last.users} users",
        *([] if offered is None else [f"offered {offered:,.0f}/s"]),
        f"right {told.right / len(seconds):,.0f}/s",
        f"p50 {milliseconds(told.quantile(0.5))} ms",
        f"p99 {milliseconds(told.quantile(0.99))} ms",
        f"failed {told.failed}",
        f"refused {told.refused}",
        *_of_looks(looks[-RECENT:], asking),
    ]
    return "  ".join(parts)


def _of_looks(looks: list[Look], asking: Asking) -> list[str]:
    first, last = looks[0], looks[-1]
    if last.at <= first.at:
        return []
    found = [last.lost] if last.lost else []
    if service := Service.between(first, last):
        found += [f"batch {service.batch:.1f}", f"queue {service.queue:.1f}"]
        found += [] if service.cpu is None else [f"service {service.cpu:.0%}"]
    taken = (last.generator_cpu - first.generator_cpu) / (last.at - first.at)
    return [*found, f"locust {taken / asking.cores:.0%}"]


def _say(text: str, over: bool, out: TextIO) -> None:
    print(f"\r{text}\x1b[K" if over else text, end="" if over else "\n", file=out, flush=True)
