"""Pictures of the page for docs/images/: python -m tests.web.pictures [--folder docs/images]

Exports the last run into a store of its own, so that the gallery has the digits that it misreads,
and goes through the views in a large window, light and dark, and in a phone's.
"""

import sys
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Browser, expect, sync_playwright

from contract.store import Store
from export.export import export
from tests.service.running import Service
from tests.web.chromium import launched
from tests.web.tour import tour
from tests.web.visit import visiting
from training.run import Run

SIZES = {"large": {"width": 1280, "height": 860}, "phone": {"width": 390, "height": 844}}
# Window, theme, and the views that are shown of it.
CHOSEN = (
    ("large", "light", {"draw", "gallery", "models", "live"}),
    ("large", "dark", {"draw"}),
    ("phone", "dark", {"draw"}),
)
COLOURS = 128  # lines, words and a few areas need no more


def take(browser: Browser, service: Service, folder: Path) -> None:
    for name, theme, views in CHOSEN:
        look = {"color_scheme": theme, "reduced_motion": "reduce", "device_scale_factor": 1.5}
        with visiting(browser, service.url, viewport=SIZES[name], **look) as (page, _):
            for view in tour(page, version="1"):
                if view not in views:
                    continue
                if view == "live":
                    page.get_by_role("button", name="Send 500 test digits").click()
                    expect(page.locator("#salvo")).to_contain_text("of 500 right")
                    expect(page.locator("#p99")).to_contain_text("s")
                path = folder / f"web-{view}-{name}-{theme}.png"
                page.screenshot(path=path)
                Image.open(path).convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE).save(
                    path, optimize=True
                )
                print(path, f"{path.stat().st_size:,} bytes")


def shrink(path: Path) -> None:
    """To fewer colours, of which those of small things are kept."""
    picture = Image.open(path).convert("RGB")
    picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE).save(path, optimize=True)


def main() -> int:
    parser = ArgumentParser("python -m tests.web.pictures")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--folder", type=Path, default=Path("docs/images"))
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        store = Store(Path(folder), "digits")
        export(Run.latest(arguments.runs), store)
        with (
            sync_playwright() as playwright,
            launched(playwright) as browser,
            Service.started(store.folder.parent) as service,
        ):
            take(browser, service, arguments.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
