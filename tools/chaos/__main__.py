"""Serve under faults drawn from a seed, and check every answer.

    python -m tools.chaos [--seed 7] [--seconds 120]

Starts three workers on a separate store, runs clients of every kind that send images with known
answers, and causes all faults of `schedule`: see docs/explanation/chaos.md. Prints what was lost
and why that is allowed. Anything else is a finding: it is printed with the seed and the faults
around it, and the exit code is 1.
"""

import asyncio
import math
import os
import re
import secrets
import signal
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from random import Random

from contract.command_line import program
from tests.support.running import TOKEN
from tools.chaos.bench import Bench
from tools.chaos.checker import Finding, Verdict, judge
from tools.chaos.clients import KINDS, run_catalog, run_client
from tools.chaos.faults import Faults
from tools.chaos.history import End, Fault, History
from tools.chaos.schedule import ALL, WORKERS, schedule
from tools.chaos.subject import Subject
from tools.chaos.surroundings import Memory, small_disk
from tools.chaos.versions import Sample, make_store
from tools.chaos.watching import WATCHERS, all_serve, mistakes
from tools.swap import FIRST

REQUEST_TIMEOUT, DRAIN_SECONDS = 3.0, 1.0
SETTINGS: dict[str, object] = {
    "workers": WORKERS,
    "threads": 1,
    "admin_token": TOKEN,
    "request_timeout": REQUEST_TIMEOUT,
    "drain_seconds": DRAIN_SECONDS,
    "watch_seconds": 0.5,
    "load_timeout": 4,
    "store_timeout": 1,
    "memory_reserve": 64 * 2**20,
}
CALM = 5.0  # seconds without faults, before and after
RECOVERY = 60.0  # seconds; a worker that could not start is retried after 30 at most
SLACK = 0.5  # seconds, for signals and for polling whether it has ended
AROUND = 6.0  # seconds around a finding whose faults are shown


def main() -> int:
    parser = program("tools.chaos", "Serve under faults.")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(10**6), help="to replay a run"
    )
    parser.add_argument("--seconds", type=float, default=120, help="in which faults begin")
    for name, meaning in (("--only", "no other faults"), ("--without", "not these faults")):
        parser.add_argument(
            name, action="append", default=[], choices=sorted(ALL), metavar="FAULT", help=meaning
        )
    parser.add_argument("--log", type=Path, help="file for the service's log")
    arguments = parser.parse_args()
    chosen = {*(arguments.only or ALL)} - {*arguments.without}
    print(f"seed {arguments.seed}, {arguments.seconds:g} s of faults", flush=True)
    with ExitStack() as stack:
        folder = stack.enter_context(small_disk())
        memory = stack.enter_context(Memory.limited())
        disk = "its own" if os.path.ismount(folder) else "file sizes"
        print(f"disk: {disk}; memory: {memory.reported}")
        store = make_store(folder)
        temporary = folder / "temporary"
        temporary.mkdir()
        os.environ["TMPDIR"] = str(temporary)
        subject = Subject(store.folder.parent, **SETTINGS)
        memory.take_in(subject)
        history = History(FIRST)
        with subject.while_ready() as service:
            bench = Bench(service, store, Sample.of(store), history, temporary)
            started = time.monotonic()
            faults = Faults(bench, memory, chosen)
            asyncio.run(run(bench, faults, arguments.seed, arguments.seconds))
        history.log = mistakes(service.log)
    if arguments.log:
        arguments.log.write_text(service.log)
    verdict = judge(history, request_timeout=REQUEST_TIMEOUT)
    report(history, verdict, started, arguments.seed)
    return int(bool(verdict.findings))


async def run(bench: Bench, faults: Faults, seed: int, seconds: float) -> None:
    history = bench.history
    async with asyncio.TaskGroup() as tasks:
        for name, kind in KINDS.items():
            tasks.create_task(run_client(name, kind, bench, Random(f"{seed}/{name}")))
        tasks.create_task(run_catalog(bench, Random(f"{seed}/catalog")))
        for watch in WATCHERS:
            tasks.create_task(watch(bench))
        await asyncio.sleep(CALM)
        history.before = bench.service.resources
        await faults.run(schedule(seed, seconds), seconds)
        began = time.monotonic()
        ready = await bench.until(lambda: all_serve(bench, WORKERS), RECOVERY)
        history.recovered = time.monotonic() - began if ready else None
        history.calm_since = time.monotonic()
        await asyncio.sleep(CALM)
        history.after = bench.service.resources
        await end(bench, seed)
        bench.over.set()


async def end(bench: Bench, seed: int) -> None:
    """Stop the service by a signal while clients keep connecting."""
    sig = Random(f"{seed}/end").choice([signal.SIGTERM, signal.SIGINT])
    allowed = REQUEST_TIMEOUT + 1 + SLACK + (DRAIN_SECONDS if sig == signal.SIGTERM else 0)

    bench.ends.set()
    with bench.history.fault("end", detail=sig.name):
        began = time.monotonic()
        bench.service.send(sig)
        if not await bench.until(bench.service.has_ended, 5 * allowed):
            bench.service.send(signal.SIGKILL)
    took = time.monotonic() - began
    code = await asyncio.to_thread(bench.service.exit_code)
    bench.history.end = End(sig.name, took, allowed, code)


# ---- report --------------------------------------------------------------------------------------


def report(history: History, verdict: Verdict, started: float, seed: int) -> None:
    kinds = Counter(
        fault.detail.partition(",")[0] if fault.kind == "damage" else fault.kind
        for fault in history.faults
    )
    sent = len(history.requests)
    print(f"\nfaults: {', '.join(f'{kind} {count}' for kind, count in sorted(kinds.items()))}")
    print(f"versions became current: {len(history.changes)}; workers died: {len(history.deaths)}")
    compared = sum(bool(request.version) for request in history.requests)
    print(f"{compared:,} predictions compared with those of the version that they name")
    print(f"{sent:,} requests, {verdict.answered:,} answered as expected; what was not, and why:")
    for (outcome, cause), count in sorted(verdict.lost.items()):
        print(f"  {outcome:8} {count:7,}  {cause}")
    slowest = max((probe.seconds for probe in history.probes), default=0.0)
    recovered = "never" if history.recovered is None else f"after {history.recovered:.1f} s"
    print(f"/livez within {slowest:.2f} s; all workers serve again {recovered}")
    for process, before in history.before.items():
        after = history.after.get(process)
        if after is not None:
            print(
                f"{process}: {before.resident / 2**20:.0f} MiB, {before.descriptors} descriptors, "
                f"{before.threads} threads before; {after.resident / 2**20:.0f} MiB, "
                f"{after.descriptors}, {after.threads} after"
            )
    if history.end is not None:
        print(f"{history.end.signal}: ended after {history.end.seconds:.1f} s")
    if not verdict.findings:
        print("no finding")
        return
    print(f'\n{len(verdict.findings)} FINDINGS; replay: make chaos ARGS="--seed {seed}"')
    alike: dict[str, list[Finding]] = {}
    for finding in verdict.findings:
        alike.setdefault(re.sub(r"\d+(\.\d+)?", "n", finding.what), []).append(finding)
    shown = -math.inf
    for findings in alike.values():
        first, more = findings[0], len(findings) - 1
        print(f"\n  at {first.at - started:.2f} s: {first.what}{f' ({more} more)' if more else ''}")
        if first.at - shown < AROUND or math.isinf(first.at):
            continue
        shown = first.at
        for fault in history.faults:
            if fault.began - AROUND <= first.at <= fault.ended + AROUND:
                print(f"      {_description(fault, started)}")


def _description(fault: Fault, started: float) -> str:
    process = f", process {fault.pid}" if fault.pid else ""
    return (
        f"{fault.began - started:7.2f} to {fault.ended - started:7.2f} s  {fault.kind}"
        f"{process}{f' ({fault.detail})' if fault.detail else ''}"
    )


if __name__ == "__main__":
    sys.exit(main())
