"""Continuous observations of the service from outside: probes, scrapes, processes."""

import asyncio
import json
import re
import time

from tools.chaos.bench import ID, Bench, get
from tools.chaos.history import Death, Fall, Probe
from tools.chaos.wire import Lost, Wire

PROBES = 8  # connections of which the fastest counts: a suspended worker may hold most of them
HEDGE = 0.3  # seconds until the others are opened
LIVE_PATIENCE = 10.0
LAG = 0.05  # seconds
# Counters and histograms; those of an old version end.
COUNTED = re.compile(r"^(digitserve_\w+_(?:total|count|bucket)(?:\{[^}]*\})?) (\S+)$", re.MULTILINE)
# A log line with one of these is an error of the service.
MISTAKES = ('"traceback"', "Traceback", "ASGI callable returned without")


async def watch_probes(bench: Bench) -> None:
    while not bench.over.is_set():
        began = time.monotonic()
        first = asyncio.create_task(_probe(bench))
        done, _ = await asyncio.wait([first], timeout=HEDGE)
        tasks = {first}
        if not (done and first.result()):
            tasks |= {asyncio.create_task(_probe(bench)) for _ in range(PROBES - 1)}
        left, alive = tasks, False
        while left and not alive:
            done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
            alive = any(task.result() for task in done)
        took = time.monotonic() - began if alive else LIVE_PATIENCE
        if not bench.ends.is_set():
            bench.history.probes.append(Probe(began, took))
        for task in left:
            task.cancel()
        await bench.sleep(0.5)


async def _probe(bench: Bench) -> bool:
    wire = None
    try:
        wire = await Wire.open(bench.address)
        wire.send(get("/livez", "Connection: close"))
        answer = await wire.answer(LIVE_PATIENCE)
        return answer.status == 200
    except Lost:
        return False
    finally:
        if wire is not None:
            wire.close()


async def watch_counters(bench: Bench) -> None:
    highest: dict[str, float] = {}
    while not bench.over.is_set():
        answer = await bench.send("scrape", get("/metrics", "Connection: close"))
        if answer is not None and answer.status == 200:
            for series, text in COUNTED.findall(answer.body.decode()):
                value = float(text)
                before = highest.get(series, 0.0)
                if value < before and "version=" not in series:
                    bench.history.falls.append(Fall(time.monotonic(), series, before, value))
                highest[series] = value
        await bench.sleep(1.0)


async def watch_workers(bench: Bench) -> None:
    """Which worker died, and when."""
    known = bench.service.workers
    while not bench.over.is_set():
        now = bench.service.workers
        for worker, pid in known.items():
            if now.get(worker) != pid:
                bench.history.deaths.append(Death(pid, worker, time.monotonic()))
        known = now
        await bench.sleep(0.05)


async def watch_status(bench: Bench) -> None:
    """The prefix of ids from each process."""
    while not bench.over.is_set():
        answer = await bench.send("status", get("/v1/status", "Connection: close"))
        if answer is not None and answer.status == 200:
            document = json.loads(answer.body)
            rows = {row["worker"]: row["pid"] for row in document["workers"]}
            process = answer.headers["x-request-id"][:ID]
            bench.history.processes[process] = rows[document["worker"]]
        await bench.sleep(0.5)


async def watch_lag(bench: Bench) -> None:
    while not bench.over.is_set():
        began = time.monotonic()
        await asyncio.sleep(LAG)
        late = time.monotonic() - began - LAG
        if late > LAG:
            bench.history.lags.append(Probe(began, late))


async def all_serve(bench: Bench, workers: int) -> bool:
    """Whether all workers serve the version that the store names."""
    answer = await bench.send("status", get("/v1/status", "Connection: close"))
    if answer is None or answer.status != 200:
        return False
    current = str(bench.store.current())
    rows = json.loads(answer.body)["workers"]
    return [row["version"] for row in rows] == [current] * workers


def mistakes(log: str) -> list[str]:
    return [line[:600] for line in log.splitlines() if any(each in line for each in MISTAKES)]


WATCHERS = (watch_probes, watch_counters, watch_workers, watch_status, watch_lag)
