"""How fast the page feels on this machine: python -m tools.bench_web [--markdown FILE]

first paint    from the request for / in a browser with an empty cache until the first paint
pen up         from lifting the pen of a digit until the frame that shows its bars; 0 if they were
               shown before, because the page predicts during drawing

Both are measured with the clock of the browser, over loopback, with the current model version.
"""

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, expect, sync_playwright

from contract.command_line import program
from contract.store import Store
from loadtest.host.machine import Conditions, settings_handed_on
from tests.support.running import Service
from tests.web.chromium import launched
from tests.web.eventually import eventually
from tests.web.pad import answer, draw
from tests.web.readings import Readings
from tests.web.shapes import DIGITS
from tests.web.visit import visiting

HELLO = 0.5  # seconds without another answer, after which all predictions of a drawing are complete
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
# Records when the pen was last lifted, and the first frame after the last change of the bars.
WATCH = """() => {
  addEventListener("pointerup", () => { window.lifted = performance.now() }, { capture: true });
  const seen = () => { window.shown = performance.now() };
  new MutationObserver(() => requestAnimationFrame(seen)).observe(
    document.querySelector("#bars"), { subtree: true, attributeFilter: ["data-probability"] });
}"""


@dataclass(frozen=True)
class Taken:
    what: str
    milliseconds: list[float]

    @property
    def row(self) -> str:
        median, p95 = np.percentile(self.milliseconds, [50, 95])
        return f"| {self.what} | {median:.0f} ms | {p95:.0f} ms | {len(self.milliseconds)} |"


def first_paints(browser: Browser, service: Service, count: int) -> Taken:
    taken = []
    for _ in range(count):
        with visiting(browser, service.url) as (page, _):
            eventually(page, partial(page.evaluate, f"{PAINT} > 0"), lambda: True)
            taken.append(float(page.evaluate(PAINT)))
    return Taken("first paint", taken)


def pens_up(browser: Browser, service: Service, count: int) -> Taken:
    taken = []
    with visiting(browser, service.url) as (page, _):
        page.evaluate(WATCH)
        readings = Readings(page)
        for number in range(count):
            page.keyboard.press("c")
            expect(answer(page)).to_be_empty()
            draw(page, DIGITS[number % len(DIGITS)])
            before = -1
            while before != len(readings):
                before = len(readings)
                page.wait_for_timeout(1000 * HELLO)
            taken.append(max(0.0, page.evaluate("window.shown - window.lifted")))
    return Taken("pen up to bars", taken)


def table(taken: list[Taken]) -> str:
    return "\n".join(
        ["| | median | p95 | of |", "|---|---|---|---|", *(each.row for each in taken)]
    )


def document(taken: list[Taken], reported: Conditions) -> str:
    return f"""# The page, measured

Written by `make bench-web`; the next one replaces it.

* when: {reported.date} UTC, commit {reported.commit}
* processor: {reported.processor}, {reported.cores} cores for service and browser together
* load before: {reported.load:.2f}; much more than 1, and others were at work too
* client: {reported.client}, headless, over loopback
* model: {reported.model}
* settings handed on: {", ".join(f"{n}={v}" for n, v in reported.settings.items()) or "none"}

{table(taken)}

* first paint: from asking for the page, with nothing of it in the browser's cache, until something
  of it is seen (first contentful paint)
* pen up to bars: from lifting the pen, a mouse, until the frame that shows what is read of the
  whole digit. The page asks while one draws, once at a time: where an answer is under way, the
  last one waits for it, and where all of the digit was read already, it is 0.
"""


def main() -> int:
    parser = program("tools.bench_web", __doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    with sync_playwright() as playwright, launched(playwright) as browser:
        reported = Conditions.now(
            command="python -m tools.bench_web",
            pinned="no",
            client=f"Chromium {browser.version}",
            model=f"version {Store(arguments.models, 'digits').current()}",
            settings=settings_handed_on(),
        )
        with Service.started(arguments.models) as service:
            taken = [
                first_paints(browser, service, arguments.count),
                pens_up(browser, service, arguments.count),
            ]
    print(table(taken))
    if arguments.markdown:
        arguments.markdown.write_text(document(taken, reported))
    return 0


if __name__ == "__main__":
    sys.exit(main())
