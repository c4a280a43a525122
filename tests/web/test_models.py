"""The view of versions: their cards, the serving one, and switching."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from contract.card import Check, Gate
from contract.store import Store
from tests.support.running import ADMIN, TOKEN, Service, status
from tests.support.versions import publish
from tests.web.guard import Guard
from tests.web.memory import left_behind
from tests.web.pad import draw, expect_answer
from tests.web.shapes import DIGITS
from tests.web.visit import guarded

WORSE = 4


@pytest.fixture(scope="module")
def models(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A separate folder of models, with a version that was judged worse than 2."""
    models = tmp_path_factory.mktemp("switched")
    shutil.copytree(store.folder, models / "digits")
    check = Check(
        name="recall of 7",
        passed=False,
        candidate=0.12,
        current=0.99,
        reason="12.00% of 1,028 test images.",
    )
    gate = Gate(
        parent=2, verdict="worse", images=10_000, gained=3, lost=904, p_value=0, checks=(check,)
    )
    copy = Store(models, "digits")
    assert publish(copy, copy.open(2), gate=gate) == WORSE
    return models


@pytest.fixture(scope="module")
def switched(models: Path) -> Iterator[Service]:
    """A service whose versions the tests switch."""
    with Service.started(models, admin_token=TOKEN, watch_seconds=0) as service:
        yield service


@pytest.fixture
def visit(tab: Page, switched: Service) -> Iterator[tuple[Page, Guard]]:
    """The page while version 2 serves, which was activated after 1."""
    with switched.client(headers=ADMIN) as client:
        for version in (1, 2):
            path = f"/v1/models/digits/versions/{version}/activate"
            client.post(path, json={"force": True}).raise_for_status()
    with guarded(tab, f"{switched.url}/#models") as visit:
        yield visit


def version(page: Page, number: int) -> Locator:
    return page.locator(f'article[data-version="{number}"]')


def serves(page: Page, number: int) -> None:
    expect(version(page, number)).to_contain_text("serves")
    expect(page.get_by_text("serves", exact=True)).to_have_count(1)


def activate(page: Page, number: int) -> None:
    version(page, number).get_by_role("button", name="Activate").click()


def test_all_versions_are_listed_and_the_serving_one_is_marked(page: Page) -> None:
    expect(page.locator("article")).to_have_count(4)
    serves(page, 2)
    expect(version(page, 2).get_by_role("button", name="Activate")).to_have_count(0)


def test_a_version_shows_its_accuracy_and_what_it_was_measured_on(page: Page, store: Store) -> None:
    for number in (1, 2, 3):
        evaluation = store.card(number).evaluation
        assert evaluation is not None
        data = store.card(number).data_set
        assert data is not None
        measured = f"{100 * evaluation.accuracy:.2f} % of {data.test:,} test images ({data.name})"
        expect(version(page, number)).to_contain_text(measured)


def test_a_card_can_be_opened(page: Page, store: Store) -> None:
    card = store.card(2)
    article = version(page, 2)
    article.get_by_text("Card").click()
    table = article.get_by_role("table").filter(has_text="precision")
    expect(table.get_by_role("row")).to_have_count(11)
    expect(article).to_contain_text(re.compile("calibration error", re.IGNORECASE))
    for name in ("Training", "Confusion matrix", "Calibration"):
        plot = article.get_by_role("figure").filter(has_text=name).get_by_role("img")
        expect(plot).to_be_visible()
    for file in card.parity:
        row = article.get_by_role("row").filter(has_text=file)
        expect(row).to_contain_text(f"{round(card.files[file].size / 1000)} kB")


def test_a_version_is_activated_and_rolled_back(page: Page, switched: Service) -> None:
    page.get_by_label("Admin token").fill(TOKEN)
    activate(page, 3)
    serves(page, 3)
    assert status(switched)["model"]["version"] == "3"
    page.get_by_role("link", name="Draw", exact=True).click()
    draw(page, DIGITS[7])
    expect_answer(page, "h")  # its labels are letters
    expect(page.locator("#bars li")).to_have_count(10)
    expect(page.locator("header")).to_contain_text("version 3")
    page.get_by_role("link", name="Models").click()
    page.get_by_role("button", name="Roll back").click()
    serves(page, 2)
    assert status(switched)["model"]["version"] == "2"


def test_a_switch_by_another_client_is_seen_with_the_next_answer(
    page: Page, switched: Service
) -> None:
    page.get_by_role("link", name="Draw", exact=True).click()
    draw(page, DIGITS[7])
    expect_answer(page, "7")
    with switched.client(headers=ADMIN) as client:
        client.post("/v1/models/digits/versions/3/activate").raise_for_status()
    page.keyboard.press("Enter")
    expect_answer(page, "h")
    expect(page.locator("#bars li").first).to_have_attribute("data-label", "a")
    expect(page.locator("header")).to_contain_text("version 3")


@pytest.mark.parametrize(
    ("token", "reported"), [("", "requires the admin token"), ("wrong" * 4, "not the admin token")]
)
def test_without_a_valid_token_nothing_changes(
    page: Page, guard: Guard, switched: Service, token: str, reported: str
) -> None:
    guard.allow("status of 401 .*/activate")
    page.get_by_label("Admin token").fill(token)
    activate(page, 1)
    expect(page.get_by_role("status").filter(has_text=reported)).to_be_visible()
    expect(page.get_by_label("Admin token")).to_be_focused()
    serves(page, 2)
    assert status(switched)["model"]["version"] == "2"


def test_a_worse_version_is_activated_only_after_confirmation(
    page: Page, guard: Guard, switched: Service
) -> None:
    guard.allow("status of 409 .*/activate")
    expect(version(page, WORSE)).to_contain_text("worse than 2")
    page.get_by_label("Admin token").fill(TOKEN)
    activate(page, WORSE)
    dialog = page.get_by_role("dialog", name="The version is worse")
    expect(dialog).to_contain_text("worse than 2 in recall of 7: 12.00% of 1,028 test images.")
    expect(dialog).not_to_contain_text("force")
    dialog.get_by_role("button", name="Keep the current version").click()
    expect(dialog).to_be_hidden()
    assert status(switched)["model"]["version"] == "2"
    activate(page, WORSE)
    dialog.get_by_role("button", name="Activate anyway").click()
    serves(page, WORSE)
    expect(page.get_by_role("status").filter(has_text="recall of 7")).to_be_visible()


def test_a_card_shows_each_check_of_the_comparison(page: Page) -> None:
    article = version(page, WORSE)
    article.get_by_text("Card").click()
    expect(article.get_by_text("Judged worse than 2: 3 images gained, 904 lost")).to_be_visible()
    checks = article.get_by_role("listitem").filter(has_text="recall of 7")
    expect(checks).to_contain_text("failed")
    expect(checks).to_contain_text("12.00% of 1,028 test images.")


def test_the_token_is_kept_in_memory_only(page: Page, guard: Guard) -> None:
    guard.allow("status of 401 .*/rollback")
    token = page.get_by_label("Admin token")
    token.fill(TOKEN)
    expect(token).to_have_attribute("type", "password")
    activate(page, 3)
    serves(page, 3)
    assert TOKEN not in left_behind(page)
    page.reload()
    expect(token).to_have_value("")
    page.get_by_role("button", name="Roll back").click()
    expect(page.get_by_role("status").filter(has_text="admin token")).to_be_visible()
    serves(page, 3)


def test_a_rejected_version_is_shown_with_the_reason(
    page: Page, guard: Guard, switched: Service, models: Path
) -> None:
    guard.allow("status of 409 .*/activate")
    shutil.copytree(models / "digits/3", models / "digits/5")
    try:
        with (models / "digits/5/model.onnx").open("ab") as file:
            file.write(b"damage")
        page.reload()
        page.get_by_label("Admin token").fill(TOKEN)
        activate(page, 5)
        expect(page.locator("#token-hint")).to_contain_text("model.onnx")
        serves(page, 2)
        page.reload()
        failed = page.get_by_role("status").filter(has_text="could not be activated")
        expect(failed).to_contain_text("Version 5")
        expect(failed).to_contain_text("model.onnx")
        expect(failed).to_contain_text("Version 2 still serves")
        expect(version(page, 5)).to_contain_text("failed")
        serves(page, 2)
    finally:
        shutil.rmtree(models / "digits/5")


def test_a_damaged_version_is_marked_although_nobody_loaded_it(
    tab: Page, store: Store, tmp_path: Path
) -> None:
    shutil.copytree(store.folder, tmp_path / "digits")
    with (tmp_path / "digits/3/model.onnx").open("ab") as file:
        file.write(b"damage")
    with (
        Service.started(tmp_path, watch_seconds=0) as service,
        guarded(tab, f"{service.url}/#models") as (page, _),
    ):
        expect(version(page, 3)).to_contain_text("damaged", timeout=20_000)
        expect(version(page, 3)).to_contain_text("model.onnx is not the file")
        expect(version(page, 2)).not_to_contain_text("damaged")
