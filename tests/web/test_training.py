"""The view "Training": jobs as they happen, verdicts and decisions, and runs of the machine."""

import json
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from contract.jobs import BOUNDS
from contract.store import Store
from tests.fixtures import MODELS, Judged
from tests.support.jobs import ScriptedWorker, progress, worker_of
from tests.support.running import ADMIN, TOKEN, Service
from tests.web.accessibility import expect_accessible
from tests.web.eventually import eventually
from tests.web.guard import Guard
from tests.web.held import answers_held
from tests.web.layout import SIZES, expect_to_fit
from tests.web.versions import publish_judged
from tests.web.visit import guarded, visiting

AWAY = r"net::ERR_(CONNECTION|EMPTY|INCOMPLETE|SOCKET|NETWORK|CONTENT_LENGTH)"
RUN = "20260501-120000"


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedWorker]:
    """On a thread of its own: DBOS refuses one with an event loop, which Playwright has here."""
    running = worker_of(tmp_path_factory.mktemp("jobs"))
    with ThreadPoolExecutor(1) as thread:
        worker = thread.submit(running.__enter__).result()
        worker.lines = ["Training on 1,437 images", "99.44% of 360 test images correct"]
        yield worker
        thread.submit(running.__exit__, None, None, None).result()


@pytest.fixture(scope="module")
def models(
    store: Store, judged: Judged, worker: ScriptedWorker, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Version 1 is current; version 2, which the jobs publish, is judged beside it."""
    models = tmp_path_factory.mktemp("judged") / "models"
    shutil.copytree(MODELS, models)
    own = Store(models, "digits")
    version = publish_judged(own, store.open(2), (judged.pixels, judged.labels.astype("int64")))
    worker.version, worker.gate = version.number, version.card.gate
    return models


@pytest.fixture(scope="module")
def runs(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was made at a terminal."""
    folder = tmp_path_factory.mktemp("runs")
    made = max((store.folder.parent.parent / "runs").glob("2*"))
    shutil.copytree(made, folder / RUN)
    return folder


@pytest.fixture(scope="module")
def retraining(models: Path, runs: Path, worker: ScriptedWorker) -> Iterator[Service]:
    with serving(models, runs, worker) as service:
        yield service


@contextmanager
def serving(models: Path, runs: Path, worker: ScriptedWorker, **more: object) -> Iterator[Service]:
    settings: dict[str, object] = {"jobs": worker.url, "runs": runs, "admin_token": TOKEN, **more}
    with Service.started(models, **settings) as service:
        yield service


@pytest.fixture
def visit(tab: Page, retraining: Service, worker: ScriptedWorker) -> Iterator[tuple[Page, Guard]]:
    """The view with the token. The jobs of other tests have ended."""
    worker.steps = 2
    with guarded(tab, f"{retraining.url}/#training") as visit:
        page, _ = visit
        page.reload()
        page.get_by_label("Admin token").fill(TOKEN)
        yield visit
    with retraining.client(headers=ADMIN) as client:
        for job in client.get("/v1/retrain").json()["jobs"]:
            client.post(f"/v1/retrain/{job['id']}/cancel")


def start(page: Page, **choices: str) -> str:
    """Start a training by the form, and return the id of the job."""
    form = page.locator("#start-training")
    for label, choice in choices.items():
        form.get_by_label(label).select_option(choice)
    with page.expect_response(lambda answer: answer.request.method == "POST") as answered:
        form.get_by_role("button", name="Start").click()
    job: dict[str, Any] = answered.value.json()
    expect(chip(page)).to_have_text("training")
    return str(job["id"])


def chosen(page: Page) -> Locator:
    return page.get_by_role("region", name="The chosen training")


def chip(page: Page) -> Locator:
    return chosen(page).locator(".summary .chip")


def press(page: Page, name: str) -> None:
    chosen(page).get_by_role("button", name=name).click()


def test_a_started_job_is_shown_with_its_curves_and_log(page: Page) -> None:
    start(page, Preset="quick")
    for curve in ("Loss", "Accuracy", "Learning rate"):
        expect(chosen(page).get_by_role("img", name=f"{curve}: ")).to_be_visible()
    expect(chosen(page)).to_contain_text("2 of 5")
    expect(chosen(page).get_by_role("region", name="Log")).to_contain_text("1,437 images")
    expect(page.locator("#jobs [aria-current]")).to_contain_text("quick")


def test_a_started_job_stays_chosen_when_an_older_list_arrives(page: Page) -> None:
    held = answers_held(page, "**/v1/retrain")
    eventually(page, lambda: len(held), lambda: 1)
    job = start(page)
    ((route, outdated),) = held
    with page.expect_request("**/v1/retrain"):
        route.fulfill(response=outdated)
    listed = page.locator("#jobs [aria-current]")
    expect(listed).to_have_attribute("data-key", f"job {job}")
    expect(chip(page)).to_have_text("training")


def test_options_of_the_recipe_are_sent_with_the_preset(page: Page) -> None:
    form = page.locator("#start-training")
    form.get_by_text("Recipe", exact=True).click()
    for label, value in {"Epochs": "3", "Learning rate": "0.02", "Network": "deep"}.items():
        form.get_by_label(label).fill(value)
    start(page, Preset="better")
    expect(chosen(page)).to_contain_text("better, epochs 3, learning_rate 0.02, network deep")


@pytest.mark.parametrize(
    ("label", "typed", "reason"),
    [
        ("Epochs", "0", "Epochs must be a whole number from 1 to 10,000."),
        ("Epochs", "1.5", "Epochs must be a whole number from 1 to 10,000."),
        ("Batch size", "-", "Batch size must be a whole number from 2 to 65,536."),
        ("Width", "9", "Width must be a number from 0.25 to 8."),
    ],
)
def test_a_refused_option_is_explained_at_its_field(
    visit: tuple[Page, Guard], label: str, typed: str, reason: str
) -> None:
    page, guard = visit
    guard.allow("status of 400")
    form = page.locator("#start-training")
    form.get_by_text("Recipe", exact=True).click()
    field = form.get_by_label(label)
    field.press_sequentially(typed)
    form.get_by_role("button", name="Start").click()
    expect(field).to_have_accessible_description(reason)
    expect(field).to_be_focused()
    field.fill("2")
    expect(form.get_by_role("alert")).to_be_hidden()
    start(page)


def test_the_fields_have_the_bounds_of_the_options(page: Page) -> None:
    form = page.locator("#start-training")
    for name, (low, high) in BOUNDS.items():
        field = form.locator(f"[name={name}]")
        assert float(field.get_attribute("min") or "") == low
        assert float(field.get_attribute("max") or high) == high


def test_progress_is_drawn_as_it_comes(page: Page, worker: ScriptedWorker) -> None:
    start(page)
    expect(chosen(page).get_by_role("img", name="Loss: 0.5 ")).to_be_visible()
    worker.steps = 4
    expect(chosen(page).get_by_role("img", name="Loss: 0.25 ")).to_be_visible()
    expect(chosen(page).get_by_role("progressbar")).to_have_attribute("aria-valuenow", "80")


def test_a_job_is_cancelled_and_resumed(page: Page) -> None:
    job = start(page)
    press(page, "Cancel")
    expect(chip(page)).to_have_text("cancelled")
    with page.expect_response(f"**/v1/retrain/{job}/resume") as answered:
        press(page, "Resume")
    assert answered.value.ok
    expect(chip(page)).to_have_text("training")


def test_a_version_that_awaits_approval_is_shown_beside_the_current_one(
    page: Page, worker: ScriptedWorker
) -> None:
    assert worker.gate is not None
    worker.ends.add(start(page))
    expect(chip(page)).to_have_text("awaits approval")
    expect(chosen(page)).to_contain_text(f"Judged {worker.gate.verdict}")
    for check in worker.gate.checks:
        expect(chosen(page)).to_contain_text(check.reason)
    matrices = chosen(page).get_by_role("img", name=re.compile("mistakes, by label"))
    expect(matrices).to_have_count(2)
    expect(chosen(page).locator(".thumbnails button").first).to_be_visible()


def test_a_changed_image_can_be_looked_at(page: Page, worker: ScriptedWorker) -> None:
    worker.ends.add(start(page))
    chosen(page).locator(".thumbnails button").first.click()
    expect(page.locator("#draw")).to_be_visible()
    expect(page.locator("#answer")).not_to_be_empty()


@pytest.mark.parametrize(("button", "state"), [("Approve", "activated"), ("Reject", "rejected")])
def test_an_admin_decides(page: Page, worker: ScriptedWorker, button: str, state: str) -> None:
    worker.ends.add(start(page))
    press(page, button)
    expect(chip(page)).to_have_text(state)
    expect(chosen(page).get_by_role("button", name=re.compile("Approve|Reject"))).to_have_count(0)


def test_two_tabs_show_the_same_job(
    browser: Browser, page: Page, retraining: Service, worker: ScriptedWorker
) -> None:
    start(page)
    with visiting(browser, f"{retraining.url}/#training") as (other, _):
        other.get_by_label("Admin token").fill(TOKEN)
        expect(chosen(other)).to_contain_text("2 of 5")
        worker.steps = 3
        for each in (page, other):
            expect(chosen(each)).to_contain_text("3 of 5")
        press(other, "Cancel")
        for each in (page, other):
            expect(chip(each)).to_have_text("cancelled")


def test_a_restart_of_the_service_is_survived(
    browser: Browser, models: Path, runs: Path, worker: ScriptedWorker
) -> None:
    worker.steps = 2
    with (
        serving(models, runs, worker) as first,
        visiting(browser, f"{first.url}/#training") as (page, guard),
    ):
        guard.allow(AWAY)
        page.get_by_label("Admin token").fill(TOKEN)
        job = start(page)
        expect(chosen(page)).to_contain_text("2 of 5")
        page.evaluate("() => { window.stayed = true }")
        first.process.kill()
        first.exit_code()
        connection = chosen(page).get_by_role("status")
        expect(connection).to_contain_text("reconnecting. What is shown is of")
        expect(chosen(page)).to_contain_text("2 of 5")
        worker.steps = 4
        with serving(models, runs, worker, port=httpx2.URL(first.url).port) as second:
            expect(chosen(page)).to_contain_text("4 of 5")
            expect(connection).to_be_hidden()
            points = chosen(page).locator("polyline.training").first.get_attribute("points")
            assert len((points or "").split()) == 4, "none is missing, none is drawn twice"
            assert page.evaluate("window.stayed"), "the page was loaded anew"
            with second.client(headers=ADMIN) as client:
                client.post(f"/v1/retrain/{job}/cancel").raise_for_status()


def test_a_run_of_a_terminal_is_shown_with_its_confusion_matrix(page: Page) -> None:
    page.locator("#jobs").get_by_role("button", name="terminal").click()
    expect(chip(page)).to_have_text("completed")
    expect(chosen(page).get_by_role("img", name=re.compile("mistakes, by label"))).to_be_visible()
    expect(chosen(page)).to_contain_text(RUN)


def test_runs_that_cannot_be_read_are_counted(page: Page, runs: Path) -> None:
    folder = runs / "20260501-140000"
    folder.mkdir()
    (folder / "run.json").write_text('{"recipe": {"network": [1]}}')
    try:
        expect(page.locator("#jobs-state")).to_have_text("The files of 1 run cannot be read.")
    finally:
        shutil.rmtree(folder)


def test_a_running_run_of_a_terminal_is_followed(page: Page, runs: Path) -> None:
    folder = runs / "20260501-130000"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"began": "2026-05-01T13:00:00Z"}))
    lines = folder / "progress.jsonl"
    lines.write_text(progress(1).model_dump_json() + "\n")
    try:
        page.locator("#jobs").get_by_role("button", name="running").click()
        expect(chosen(page)).to_contain_text("1 of 5")
        with lines.open("a") as file:
            file.write(progress(2).model_dump_json() + "\n")
        expect(chosen(page)).to_contain_text("2 of 5")
    finally:
        shutil.rmtree(folder)


def test_jobs_are_shown_though_there_is_no_folder_of_runs(
    tab: Page, models: Path, worker: ScriptedWorker, tmp_path: Path
) -> None:
    with (
        serving(models, tmp_path / "none", worker) as service,
        guarded(tab, f"{service.url}/#training") as (page, guard),
    ):
        guard.allow("status of 503")
        page.get_by_label("Admin token").fill(TOKEN)
        worker.ends.add(start(page))
        expect(page.locator("#jobs").get_by_role("button").first).to_be_visible()
        expect(page.locator("#jobs-state")).to_contain_text("Runs cannot be read")


def test_nothing_is_shown_without_the_token(tab: Page, retraining: Service) -> None:
    with guarded(tab, f"{retraining.url}/#training") as (page, guard):
        page.reload()
        expect(page.get_by_text("Enter it above")).to_be_visible()
        expect(page.get_by_role("button", name="Start")).to_be_hidden()
        guard.allow("status of 401")
        page.get_by_label("Admin token").fill("wrong" * 4)
        expect(page.get_by_text("That is not the admin token")).to_be_visible()


def test_where_retraining_is_not_set_up_the_view_says_how(tab: Page, store: Store) -> None:
    with (
        Service.started(store.folder.parent, admin_token=TOKEN) as service,
        guarded(tab, f"{service.url}/#training") as (page, _),
    ):
        expect(page.get_by_text("Retraining is not set up")).to_be_visible()
        expect(page.locator("#set-up")).to_contain_text("export DIGITSERVE_JOBS=sqlite:////")
        page.get_by_label("Admin token").fill(TOKEN)
        expect(page.get_by_role("button", name="Start")).to_be_hidden()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_a_judged_job_fits_and_is_accessible(
    size: str, theme: Any, browser: Browser, retraining: Service, worker: ScriptedWorker
) -> None:
    look = {"color_scheme": theme, "reduced_motion": "reduce", "viewport": SIZES[size]}
    worker.steps = 5
    with visiting(browser, f"{retraining.url}/#training", **look) as (page, _):
        page.get_by_label("Admin token").fill(TOKEN)
        worker.ends.add(start(page))
        expect(chosen(page).locator(".thumbnails button").first).to_be_visible()
        expect_to_fit(page, f"training-{size}-{theme}")
        expect_accessible(page, "training")


def test_the_view_shows_whether_inputs_have_changed_and_offers_a_retraining(
    visit: tuple[Page, Guard], retraining: Service
) -> None:
    with retraining.client(headers={"Content-Type": "image/png"}) as client:
        png = (MODELS / "digits/1/sample.png").read_bytes()
        client.post("/v1/predict", content=png).raise_for_status()
    page, _ = visit
    drift = page.get_by_role("region", name="Input drift")
    expect(drift.get_by_role("listitem")).to_contain_text(
        ["ink share", "stroke width", "confidence", "label"]
    )
    expect(drift).to_contain_text("few images")
    drift.get_by_role("button", name="Retrain").click()
    expect(page.locator("#start-training").get_by_label("Preset")).to_be_focused()
