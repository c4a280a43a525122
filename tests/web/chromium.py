"""The Chromium that runs the tests of the web page: the system's own, or the one in CHROMIUM.

`python -m tests.web.chromium` prints its path, or explains on stderr how to install it and exits
with 1. Playwright's own download of 300 MB is not used.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ADVICE = (
    "install it (Debian: apt install chromium) or name one: CHROMIUM=/path/to/chrome make test-web"
)


class NoChromium(Exception):
    """There is no Chromium; the message says what to do."""


def chromium() -> Path:
    named = os.environ.get("CHROMIUM")
    for name in (named,) if named else NAMES:
        if path := shutil.which(name):
            return Path(path)
    what = f"CHROMIUM is {named}, which is no program" if named else "there is no Chromium on PATH"
    raise NoChromium(f"{what}: {ADVICE}")


@contextmanager
def launched(playwright: Playwright, *switches: str) -> Iterator[Browser]:
    """A headless Chromium; its sandbox is disabled only for root, for whom it cannot work."""
    with closing(
        playwright.chromium.launch(
            executable_path=chromium(), chromium_sandbox=os.geteuid() != 0, args=switches
        )
    ) as browser:
        yield browser


if __name__ == "__main__":
    try:
        print(chromium())
    except NoChromium as error:
        sys.exit(str(error))
