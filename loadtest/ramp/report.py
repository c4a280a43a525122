"""A load test as text and as a plot: throughput and latency against the load, with the knee."""

from pathlib import Path

from loadtest.ramp.result import Result, Step
from loadtest.report import document, plots
from loadtest.report.document import Columns, Line
from loadtest.report.plots import BLUE, DASHED, GRAY, GREEN, ORANGE, RED
from loadtest.report.slo import shown_seconds

MARGIN = 1.06  # times the highest load, for names right of the last point


def text(result: Result) -> str:
    return document.paragraphs(document.as_text(steps(result)), *_sentences(result))


def markdown(result: Result) -> str:
    return document.paragraphs(
        f"# {result.title}",
        *_sentences(result)[1:],
        "![throughput and latency](load.png)" if result.steps else "",
        document.as_markdown(steps(result)),
        "docs/how-to/loadtest.md explains the columns; "
        "locust.html and locust_*.csv are locust's own.",
        "## Conditions",
        document.conditions(result.conditions, {}, ours="DIGITSERVE_THREADS"),
    )


def steps(result: Result) -> list[Line]:
    def remarks(step: Step) -> str:
        knee = ["the knee"] * (step is result.knee)
        return ", ".join(knee + ["locust at its limit"] * step.generator_bound)

    columns: Columns[Step] = {
        "users": lambda step: str(step.users),
        "offered/s": lambda step: "-" if step.offered is None else f"{step.offered:,.0f}",
        "right/s": lambda step: f"{step.rate:,.0f}",
        "p50 ms": lambda step: f"{step.p50 * 1e3:.3g}",
        "p95 ms": lambda step: f"{step.p95 * 1e3:.3g}",
        "p99 ms": lambda step: f"{step.p99 * 1e3:.3g}",
        "requests": lambda step: f"{step.requests:,}",
        "errors": lambda step: f"{step.errors:,}",
        "batch": lambda step: f"{step.service.batch:.1f}" if step.service else "-",
        "queue": lambda step: f"{step.service.queue:.1f}" if step.service else "-",
        "service CPU": lambda step: (
            f"{step.service.cpu:.0%}" if step.service and step.service.resident else "-"
        ),
        "locust CPU": lambda step: "-" if step.generator is None else f"{step.generator:.0%}",
        "": remarks,
    }
    return document.table(result.steps, columns)


def _sentences(result: Result) -> list[str]:
    stopped = "Stopped early by Ctrl-C: these numbers are of what was measured until then."
    return [f"{result.title}.", f"{result.verdict[1]}.", stopped if result.stopped else ""]


def plot(result: Result, path: Path) -> None:
    steps, slo = result.by_users, result.slo.p99
    thinking = steps[0].offered is not None
    load = [step.offered or step.users for step in steps]
    below = f"{result.conditions.processor}; {result.conditions.pinned}"
    figure, (throughput, latency) = plots.panels((2.5, 2.5), result.title, below)
    rates = [step.rate for step in steps]
    throughput.set_xlim(0, MARGIN * load[-1])
    throughput.set_ylim(0, 1.15 * max(*rates, 1, *(load if thinking else [])))
    if thinking:
        throughput.plot([0, *load], [0, *load], color=GRAY, linestyle=DASHED)
        plots.beside(throughput, (load[-1], load[-1]), "offered", GRAY, shift=(-8, 4), ha="right")
    throughput.plot(load, rates, color=BLUE, **plots.POINTS)
    plots.named(throughput, "right answers\na second")
    ends = []
    for name, color, times in (
        ("p99", RED, [step.p99 for step in steps]),
        ("p95", ORANGE, [step.p95 for step in steps]),
        ("p50", GREEN, [step.p50 for step in steps]),
    ):
        shown = plots.milliseconds(times)
        latency.plot(load, shown, color=color, **plots.POINTS)
        ends.append((name, color, load[-1], shown[-1]))
    plots.in_milliseconds(latency)
    latency.axhline(slo * 1e3, color=RED, linestyle=DASHED, linewidth=1.3)
    plots.beside(latency, (0, slo * 1e3), f"SLO: p99 {shown_seconds(slo)}", RED, shift=(6, 5))
    plots.named(latency, "milliseconds\nto an answer")
    plots.names(latency, ends)
    latency.set_xlabel("offered requests a second" if thinking else "users without think time")
    if knee := result.knee:
        at = load[steps.index(knee)]
        for axes in (throughput, latency):
            axes.axvline(at, color=BLUE, linewidth=1, alpha=0.5, zorder=0)
        label = f"the knee: {knee.rate:,.0f} a second,\n{knee.users} users"
        plots.beside(throughput, (at, knee.rate), label, BLUE, shift=(-9, -40), ha="right")
    plots.saved(figure, path)
