"""The page follows the model: images are uploaded instead of drawn, for labels of any kind."""

import re
from base64 import b64decode
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from contract.card import LetterboxPreparation, PhotoPreparation, StretchPreparation
from contract.store import Store
from contract.version import Version
from tests.support.classifiers import COLOURS, publish_classifier
from tests.support.pictures import encoded
from tests.support.running import ADMIN, TOKEN, Service
from tests.support.versions import publish
from tests.web.accessibility import expect_accessible
from tests.web.guard import Guard
from tests.web.layout import SIZES, expect_to_fit
from tests.web.pad import answer, draw, expect_answer, pad
from tests.web.shapes import DIGITS
from tests.web.versions import write_sheets
from tests.web.visit import guarded, visiting

RED, GREEN, BLUE = (220, 40, 40), (40, 180, 60), (40, 60, 220)
# As long as the longest names of ImageNet.
MANY = tuple(f"Staffordshire bullterrier, Staffordshire bull terrier {at}" for at in range(150))
COLOUR, MANY_LABELS, NO_SAMPLES, READS_DIGITS = 1, 2, 3, 4  # versions
DIGIT = re.compile(r"\bdigits?\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def any_model(version: Version, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a version of each kind, between which the tests switch."""
    folder = tmp_path_factory.mktemp("any")
    store = Store(folder, "any")
    wide, photo = StretchPreparation(size=(32, 48)), PhotoPreparation(resize=72, size=(64, 64))
    for labels, preparation in ((COLOURS, wide), (MANY, photo)):
        change = partial(write_sheets, labels=labels, size=preparation.size)
        publish_classifier(store, version, labels=labels, preparation=preparation, change=change)
    publish_classifier(store, version, preparation=LetterboxPreparation(size=(40, 40)))
    publish(store, version, name="any")
    store.activate(COLOUR)
    with Service.started(folder, model="any", admin_token=TOKEN, watch_seconds=0) as service:
        yield service


@pytest.fixture
def serving() -> int:
    """The version that serves when the page is opened; tests override it."""
    return COLOUR


@pytest.fixture
def visit(tab: Page, any_model: Service, serving: int) -> Iterator[tuple[Page, Guard]]:
    activate(any_model, serving)
    with guarded(tab, any_model.url) as visit:
        expect(tab.locator("#badge")).to_contain_text(f"version {serving}")
        yield visit


def activate(service: Service, version: int) -> None:
    with service.client(headers=ADMIN) as client:
        client.post(f"/v1/models/any/versions/{version}/activate").raise_for_status()


def upload(page: Page, colour: tuple[int, int, int], size: tuple[int, int] = (60, 90)) -> None:
    content = encoded(Image.new("RGB", size, colour))
    page.get_by_label("Upload").set_input_files(
        {"name": "colour.png", "mimeType": "image/png", "buffer": content}
    )


def pixels_seen(page: Page) -> NDArray[np.uint8]:
    """The pixels of the thumbnail."""
    file = b64decode((page.locator("#seen").get_attribute("src") or "").partition(",")[2])
    return np.asarray(Image.open(BytesIO(file)))


def test_images_are_uploaded_and_not_drawn(page: Page) -> None:
    expect(pad(page)).to_be_hidden()
    expect(page.get_by_role("button", name="Eraser")).to_be_hidden()
    expect(page.locator("nav [aria-current]")).to_have_text("Images")
    with page.expect_file_chooser():
        page.locator("#shown").click()


def test_no_view_speaks_of_digits(page: Page) -> None:
    for view in ("#draw", "#gallery", "#models", "#live"):
        page.locator(f'nav a[href="{view}"]').click()
        expect(page.locator(view)).to_be_visible()
        assert not DIGIT.search(page.locator("body").inner_text()), view


def test_an_image_is_shown_with_its_prediction(page: Page) -> None:
    upload(page, GREEN)
    expect_answer(page, "green")
    expect(page.locator("#shown canvas")).to_be_visible()
    bars = page.locator("#bars li")
    labels = bars.evaluate_all("(them) => them.map(({dataset}) => dataset.label)")
    assert labels == ["red", "green", "blue"]
    expect(page.locator("#bars .best")).to_have_attribute("data-label", "green")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#sure")).to_have_text("No image yet")
    expect(page.locator("#shown canvas")).to_have_count(0)


def test_the_thumbnail_is_what_the_network_sees(page: Page) -> None:
    upload(page, BLUE, size=(90, 90))
    expect_answer(page, "blue")
    seen = page.locator("#seen")
    expect(seen).to_have_accessible_name("The 32 by 48 pixels that the network saw")
    pixels = pixels_seen(page)
    assert pixels.shape == (32, 48, 3)
    assert (pixels == BLUE).all()


def test_a_test_image_can_be_chosen(page: Page) -> None:
    sample = page.get_by_role("button", name="labelled blue").first
    sample.click()
    expect_answer(page, "blue")
    expect(page.locator("#truth")).to_have_text("labelled blue, classified correctly")


def test_a_random_test_image_is_predicted(page: Page) -> None:
    with page.expect_response("**/v1/samples/random") as sample:
        page.get_by_role("button", name="Random test image").click()
    expect_answer(page, sample.value.json()["label"])


def test_a_misclassified_image_opens_with_its_label(page: Page) -> None:
    page.locator('nav a[href="#gallery"]').click()
    mistake = page.locator("#mistakes button").first
    ((label, read),) = re.findall(r"labelled (\w+)\s+read as (\w+)", mistake.inner_text())
    mistake.click()
    expect_answer(page, read)
    expect(page.locator("#truth")).to_have_text(f"labelled {label}, misclassified as {read}")


@pytest.mark.parametrize("serving", [MANY_LABELS])
@pytest.mark.parametrize("way", ["chosen", "random"])
def test_a_test_image_of_a_photo_model_is_not_cropped_again(
    way: str, page: Page, any_model: Service
) -> None:
    with any_model.client() as client:
        sheet = client.get(f"/v1/models/any/versions/{MANY_LABELS}/files/samples.png").content
    name = {"chosen": "^labelled", "random": "^Random test image"}[way]
    page.get_by_role("button", name=re.compile(name)).first.click()
    expect(page.locator("#seen")).to_be_visible()
    seen = pixels_seen(page)
    cells = np.asarray(Image.open(BytesIO(sheet)))  # (rows * 64, columns * 64, 3)
    cells = cells.reshape(-1, 64, 10, 64, 3).swapaxes(1, 2).reshape(-1, 64, 64, 3)
    assert any((cell == seen).all() for cell in cells)


def test_the_quiz_asks_for_the_label(page: Page) -> None:
    page.locator('nav a[href="#gallery"]').click()
    page.get_by_role("button", name="Start").click()
    page.get_by_role("group", name="What do you see?").get_by_role("button", name="red").click()
    expect(page.locator("#quiz")).to_contain_text(re.compile("Network: (red|green|blue)"))


def test_test_images_are_sent_by_the_live_view(page: Page) -> None:
    page.locator('nav a[href="#live"]').click()
    page.get_by_role("button", name="Send 500 test images").click()
    expect(page.locator("#salvo")).to_contain_text("500 of 500 right", timeout=60_000)


@pytest.mark.parametrize("serving", [MANY_LABELS])
def test_of_many_labels_the_likeliest_are_shown_first(page: Page) -> None:
    upload(page, GREEN)
    expect(answer(page)).not_to_be_empty()
    label = answer(page).inner_text()
    bars = page.locator("#bars li")
    expect(bars).to_have_count(10)
    expect(bars.first).to_have_attribute("data-label", label)
    shares = bars.evaluate_all("(them) => them.map(({dataset}) => Number(dataset.probability))")
    assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize("serving", [MANY_LABELS])
def test_bars_have_the_names_of_the_version_that_answers(page: Page) -> None:
    def rename(route: Route) -> None:
        response = route.fetch()
        document = response.json()
        for each in document["predictions"][0]["top_k"]:
            each["label"] = f"new {each['label']}"
        route.fulfill(response=response, json=document)

    upload(page, GREEN)
    expect(answer(page)).not_to_be_empty()
    page.route("**/v1/predict*", rename)
    page.keyboard.press("Enter")
    expect(page.locator("#bars li").first).to_have_attribute("data-label", re.compile("^new "))


@pytest.mark.parametrize("serving", [MANY_LABELS])
def test_the_quiz_offers_some_of_many_labels(page: Page) -> None:
    page.locator('nav a[href="#gallery"]').click()
    page.get_by_role("button", name="Start").click()
    choices = page.get_by_role("group", name="What do you see?").get_by_role("button")
    expect(choices).to_have_count(6)


@pytest.mark.parametrize("serving", [NO_SAMPLES])
def test_without_test_images_none_are_offered(page: Page) -> None:
    expect(page.get_by_role("button", name="Random test image")).to_be_hidden()
    page.locator('nav a[href="#gallery"]').click()
    expect(page.get_by_text("published without labelled test images")).to_be_visible()
    expect(page.get_by_role("button", name="Start")).to_be_hidden()
    page.locator('nav a[href="#live"]').click()
    expect(page.get_by_role("button", name="Send 500")).to_be_hidden()


def test_the_card_of_an_imported_model_says_what_is_known(page: Page) -> None:
    page.locator('nav a[href="#models"]').click()
    article = page.locator(f'article[data-version="{COLOUR}"]')
    article.get_by_text("Card").click()
    facts = article.locator(".facts")
    expect(facts).to_contain_text("32x48 RGB")
    expect(facts).to_contain_text("not measured")
    expect(facts).to_contain_text("classifier.onnx")
    expect(facts).to_contain_text("it answers")


@pytest.mark.parametrize("serving", [READS_DIGITS])
def test_a_switch_to_another_kind_of_model_replaces_the_pad(
    page: Page, guard: Guard, any_model: Service
) -> None:
    guard.allow("status of 422 .*/v1/predict")  # no digit is on a red image
    draw(page, DIGITS[7])
    expect(answer(page)).not_to_be_empty()
    activate(any_model, COLOUR)
    page.keyboard.press("Enter")
    expect(pad(page)).to_be_hidden()
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    upload(page, RED)
    expect_answer(page, "red")
    activate(any_model, READS_DIGITS)
    page.keyboard.press("Enter")
    expect(pad(page)).to_be_visible()
    draw(page, DIGITS[1])
    expect(page.locator("#bars li")).to_have_count(10)


@pytest.mark.parametrize(("size", "theme"), [("small", "light"), ("large", "dark")])
def test_long_names_neither_overflow_nor_hinder_access(
    size: str, theme: Any, browser: Browser, any_model: Service
) -> None:
    activate(any_model, MANY_LABELS)
    look = {"color_scheme": theme, "reduced_motion": "reduce"}
    with visiting(browser, any_model.url, viewport=SIZES[size], **look) as (page, _):
        for view in images_tour(page):
            expect_to_fit(page, f"any-{view}-{size}-{theme}")
            expect_accessible(page, view)


def images_tour(page: Page) -> Iterator[str]:
    """The views of a model of images, with content in each."""
    page.locator("#samples button").first.click()
    expect(answer(page)).not_to_be_empty()
    yield "draw"
    page.locator('nav a[href="#gallery"]').click()
    expect(page.locator("#mistakes button").first).to_be_visible()
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("img", name="The image in question")).to_be_visible()
    yield "gallery"
    page.locator('nav a[href="#models"]').click()
    page.locator(f'article[data-version="{MANY_LABELS}"]').get_by_text("Card").click()
    expect(page.get_by_text("Imported from").first).to_be_visible()
    yield "models"
    page.locator('nav a[href="#live"]').click()
    expect(page.locator("#watchers")).to_have_text("1")
    yield "live"
