"""The accessibility of a page, checked by axe-core, which `make test-web` installs with npm."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

AXE = Path(__file__).parent.parent.parent / ".axe/node_modules/axe-core/axe.min.js"


def violations(page: Page) -> list[dict[str, Any]]:
    """Those that axe-core finds, each with the elements that it concerns."""
    if not AXE.exists():
        pytest.skip(
            "there is no axe-core: install npm (Debian: apt install npm), then make test-web"
        )
    page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = page.evaluate("async () => (await axe.run()).violations")
    return found


def expect_accessible(page: Page, view: str) -> None:
    found = violations(page)
    assert not found, "\n".join([f"{view}:", *map(_report, found)])


def _report(violation: dict[str, Any]) -> str:
    elements = [f"  {each['target']}: {each['failureSummary']}" for each in violation["nodes"]]
    return "\n".join([f"{violation['id']}: {violation['help']}", *elements])
