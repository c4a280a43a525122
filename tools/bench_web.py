"""How fast the page feels on this machine: python -m tools.bench_web [--markdown FILE]

first paint    from the request for / in a browser with an empty cache until the first paint
downloads      requests and bytes, with headers, of the page and its files at a first and a second
               visit
pen up         from lifting the pen of a digit until the frame that shows its bars; 0 if they were
               shown before, because the page predicts during drawing

Times are measured with the clock of the browser, over loopback, with the current model version.
"""

import sys
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

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
from tests.web.visit import guarded, visiting

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


@dataclass(frozen=True)
class Downloads:
    visit: str
    requests: int
    size: int  # bytes

    @property
    def row(self) -> str:
        return f"| {self.visit} visit | {self.requests} | {self.size:,} |"


def downloads(browser: Browser, service: Service) -> list[Downloads]:
    """Of the page and its files, but not of its requests to the API."""
    measured = []
    with closing(browser.new_context()) as context:
        for visit in ("first", "second"):
            tab = context.new_page()
            files: dict[str, int] = {}
            network = context.new_cdp_session(tab)
            network.on("Network.responseReceived", partial(_add_response, files))
            network.on("Network.loadingFinished", partial(_add_size, files))
            network.send("Network.enable")
            with guarded(tab, service.url) as (page, _):
                expect(page.locator("#badge")).to_contain_text("version")
            sizes = [size for size in files.values() if size]
            measured.append(Downloads(visit, len(sizes), sum(sizes)))
    return measured


def _add_response(files: dict[str, int], event: dict[str, Any]) -> None:
    if event["type"] != "Fetch":
        files[event["requestId"]] = 0


def _add_size(files: dict[str, int], event: dict[str, Any]) -> None:
    if event["requestId"] in files:  # 0 bytes: from the cache of the browser
        files[event["requestId"]] = round(event["encodedDataLength"])


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


def tables(taken: list[Taken], downloaded: list[Downloads]) -> str:
    times = ["| | median | p95 | of |", "|---|---|---|---|", *(each.row for each in taken)]
    sizes = ["| | requests | bytes |", "|---|---|---|", *(each.row for each in downloaded)]
    return "\n".join([*times, "", *sizes])


def document(tables: str, reported: Conditions) -> str:
    return f"""# The page, measured

Written by `make bench-web`; the next run replaces it.

* when: {reported.date} UTC, commit {reported.commit}
* processor: {reported.processor}, {reported.cores} cores for service and browser together
* load before: {reported.load:.2f} (well above 1: other programs were running)
* client: {reported.client}, headless, over loopback
* model: {reported.model}
* settings passed on: {", ".join(f"{n}={v}" for n, v in reported.settings.items()) or "none"}

{tables}

* first paint: from the request for the page, with an empty cache, until the first contentful paint
* pen up to bars: from lifting the pen, a mouse, until the frame that shows the prediction of the
  whole digit. The page sends one request at a time while a user draws: the last one waits for the
  one before it, and if the whole digit was classified already, this is 0.
* visits: the page and its files, with headers, without requests to the API
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
            measured = tables(taken, downloads(browser, service))
    print(measured)
    if arguments.markdown:
        arguments.markdown.write_text(document(measured, reported))
    return 0


if __name__ == "__main__":
    sys.exit(main())
