"""The accessibility of a page, checked by axe-core."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

# Newer versions of axe-core have this rule on from the start.
OPTIONS = {"rules": {"label-content-name-mismatch": {"enabled": True}}}


def expect_accessible(page: Page, view: str) -> None:
    found = Axe().run(page, options=OPTIONS)
    assert not found.violations_count, f"{view}:\n{found.generate_report()}"
