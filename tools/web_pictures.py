"""Screenshots of the page for docs/images/: python -m tools.web_pictures [--folder docs/images]

Exports the last run into a separate store and captures three of the views, for the README,
docs/reference/page.md and docs/how-to/retraining.md. The training that is shown is that run; a job
that awaits approval is captured by tools.learn_hand.
"""

import re
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Browser, expect, sync_playwright

from contract.command_line import program
from contract.job_connection import create
from contract.store import Store
from export.export import export
from tests.support.running import TOKEN, Service
from tests.web.chromium import launched
from tests.web.tour import tour
from tests.web.visit import visiting
from training.run import Run

LOOK = {
    "viewport": {"width": 1280, "height": 880},
    "device_scale_factor": 1.5,
    "reduced_motion": "reduce",
}
SHOWN = {"draw", "live"}
COLOURS = 128  # sufficient for lines, text and a few areas


def take(browser: Browser, service: Service, folder: Path) -> None:
    with visiting(browser, service.url, color_scheme="light", **LOOK) as (page, _):
        for view in tour(page, version="1"):
            if view not in SHOWN:
                continue
            if view == "live":
                page.get_by_role("button", name="Send 500 test digits").click()
                expect(page.locator("#salvo")).to_contain_text("of 500 right")
                expect(page.locator("#p99")).to_contain_text("s")
            path = folder / f"web-{view}.png"
            page.screenshot(path=path)
            shrink(path)
            print(path, f"{path.stat().st_size:,} bytes")


def take_training(browser: Browser, service: Service, run: str, folder: Path) -> None:
    url = f"{service.url}/#training"
    with visiting(browser, url, color_scheme="light", **LOOK) as (page, _):
        page.get_by_label("Admin token").fill(TOKEN)
        page.locator("#jobs").get_by_role("button").first.click()
        chosen = page.get_by_role("region", name="The chosen training")
        expect(chosen).to_contain_text(run)
        expect(chosen.get_by_role("img", name=re.compile("mistakes, by label"))).to_be_visible()
        path = folder / "web-training.png"
        page.screenshot(path=path, full_page=True)
        shrink(path)
        print(path, f"{path.stat().st_size:,} bytes")


def take_job(url: str, path: Path) -> None:
    """The job that awaits approval: its verdict, and the comparison with the current version."""
    with (
        sync_playwright() as playwright,
        launched(playwright) as browser,
        visiting(browser, f"{url}/#training", color_scheme="light", **LOOK) as (page, _),
    ):
        page.get_by_label("Admin token").fill(TOKEN)
        page.locator("#jobs").get_by_role("button", name="awaits approval").click()
        chosen = page.get_by_role("region", name="The chosen training")
        expect(chosen.locator(".thumbnails button").first).to_be_visible()
        page.evaluate("scrollTo(0, 0)")
        clip, judged = chosen.bounding_box(), chosen.locator(".judged").bounding_box()
        assert clip
        assert judged
        clip["height"] = judged["y"] + judged["height"] - clip["y"]  # without the curves
        page.screenshot(path=path, full_page=True, clip=clip)
    shrink(path)


def shrink(path: Path) -> None:
    """Reduce the number of colours, but keep those of small elements, and large areas exact."""
    picture = Image.open(path).convert("RGB")
    picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=1).save(path, optimize=True)


def main() -> int:
    parser = program("tools.web_pictures", __doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--folder", type=Path, default=Path("docs/images"))
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        store, run = Store(Path(folder) / "models", "digits"), Run.latest(arguments.runs)
        export(run, store)
        (Path(folder) / "runs").mkdir()
        shutil.copytree(run.folder, Path(folder) / "runs" / run.folder.name)
        database = f"sqlite:///{folder}/jobs.sqlite"
        create(database)
        retraining = {"jobs": database, "runs": Path(folder) / "runs", "admin_token": TOKEN}
        with (
            sync_playwright() as playwright,
            launched(playwright) as browser,
            Service.started(store.folder.parent) as service,
        ):
            take(browser, service, arguments.folder)
        with (
            sync_playwright() as playwright,
            launched(playwright) as browser,
            Service.started(store.folder.parent, **retraining) as service,
        ):
            take_training(browser, service, run.folder.name, arguments.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
