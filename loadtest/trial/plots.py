"""The pictures of a load test, as PNG: those there is something to show on."""

from pathlib import Path

from loadtest.canvas import saved
from loadtest.trial import load_plots, time_plot
from loadtest.trial.result import Result
from loadtest.trial.step import NOISY

LOAD, SERVICE, TIME = "load.png", "service.png", "time.png"


def draw(result: Result, folder: Path) -> list[str]:
    """Their names."""
    steps, others, drawn = result.curve.steps, result.curve.others, {}
    below = f"{result.conditions.processor}; {result.conditions.pinned}"
    if others > NOISY:
        below += f"; not quiet: others took up to {others:.0%} of these cores"
    if steps:
        drawn[LOAD] = load_plots.load(result.curve, below)
    if any(step.service for step in steps):
        drawn[SERVICE] = load_plots.service(result.curve, below)
    if sum(second.users > 0 for second in result.seconds[1:]) > 1:
        drawn[TIME] = time_plot.course(result, below)
    for name, figure in drawn.items():
        saved(figure, folder / name)
    return list(drawn)
