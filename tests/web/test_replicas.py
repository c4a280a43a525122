"""The live view of several replicas: sums, a row of each, and which of them do not answer."""

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from contract.store import Store
from loadtest.target.server import free_port
from tests.support.running import Service
from tests.web.accessibility import expect_accessible
from tests.web.guard import Guard
from tests.web.layout import SIZES, expect_to_fit
from tests.web.test_live import post_many
from tests.web.visit import guarded, visiting


@pytest.fixture(scope="module")
def replicas(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Service]]:
    """`north` serves version 2 and `south` version 1; nothing listens at the third address."""
    older = tmp_path_factory.mktemp("south") / "models"
    shutil.copytree(store.folder.parent, older)
    Store(older, "digits").activate(1)
    ports = [free_port() for _ in range(3)]
    peers = ",".join(f"127.0.0.1:{port}" for port in ports)
    folders = {"north": store.folder.parent, "south": older}
    with ExitStack() as stack:
        yield [
            stack.enter_context(Service.started(folder, port=port, peers=peers, replica=name))
            for (name, folder), port in zip(folders.items(), ports, strict=False)
        ]


@pytest.fixture
def visit(tab: Page, replicas: list[Service]) -> Iterator[tuple[Page, Guard]]:
    with guarded(tab, f"{replicas[0].url}/#live") as visit:
        yield visit


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("group", name="Replicas: ").get_by_role("row").filter(has_text=name)


def test_each_replica_has_a_row_with_its_version(page: Page) -> None:
    expect(row(page, "north")).to_contain_text("shows this page")
    expect(row(page, "north").locator(".chip.differs")).to_have_text("2")
    expect(row(page, "south").locator(".chip.differs")).to_have_text("1")
    summary = page.locator("#replicas-summary")
    expect(summary).to_have_text(
        "3 replicas, 1 not answering. They serve different versions: 1, 2."
    )
    names = page.get_by_role("group", name="Replicas: ").get_by_role("rowheader")
    expect(names).to_have_text([re.compile("north"), re.compile("south"), re.compile("127")])
    expect(row(page, "127.0.0.1").last).to_contain_text("It cannot be reached")


def test_the_gauges_show_the_requests_of_all_replicas(page: Page, replicas: list[Service]) -> None:
    expect(row(page, "south")).to_contain_text("Answers")
    post_many(replicas[1], 400)
    rate = row(page, "south").get_by_role("cell").nth(1)
    expect(rate).to_have_text(re.compile("[1-9]"))
    expect(page.locator("#rate")).to_have_text(re.compile("[1-9]"))
    expect(row(page, "north").get_by_role("cell").nth(1)).to_have_text("0")
    expect(page.locator("#inflight")).to_have_text("0")
    expect(page.locator("#queue-limit")).to_contain_text("2,048")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_replicas_fit_and_are_accessible(
    size: str, theme: Any, browser: Browser, replicas: list[Service]
) -> None:
    look = {"color_scheme": theme, "reduced_motion": "reduce", "viewport": SIZES[size]}
    with visiting(browser, f"{replicas[0].url}/#live", **look) as (page, _):
        expect(row(page, "south").locator(".chip.differs")).to_be_visible()
        expect_to_fit(page, f"replicas-{size}-{theme}")
        expect_accessible(page, "live")
