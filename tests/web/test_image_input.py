"""Image input: a file, the clipboard, drag and drop, the camera, a random test digit."""

from base64 import b64encode
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Playwright, expect

from tests.support.pictures import SEVEN, encoded
from tests.support.running import Service
from tests.web.chromium import launched
from tests.web.guard import Guard
from tests.web.pad import answer, draw, expect_answer, pad
from tests.web.sent import last_sent_image, record_sent_images
from tests.web.shapes import lines
from tests.web.visit import visiting

# Writes to the clipboard of the system, like an image copied elsewhere.
COPY = """async (base64) => {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const image = new Blob([bytes], { type: "image/png" });
  await navigator.clipboard.write([new ClipboardItem({ "image/png": image })]);
}"""
ONE = encoded(np.pad(np.zeros((120, 10), np.uint8), ((40, 40), (95, 95)), constant_values=255))
ORIENTATION, ROTATED = 0x0112, 6  # an EXIF tag; its value for "rotate by 90 degrees clockwise"
CLIPBOARD = ["clipboard-read", "clipboard-write"]


@pytest.fixture
def seven(tmp_path: Path) -> Path:
    path = tmp_path / "seven.png"
    path.write_bytes(SEVEN)
    return path


def drop(page: Page, *paths: Path) -> None:
    """Drop files on the page, as from a file manager."""
    browser = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        event = {"type": kind, "data": data, "x": 300, "y": 300}
        browser.send("Input.dispatchDragEvent", event)


def test_an_uploaded_file_is_predicted(page: Page, seven: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_text("Upload", exact=True).click()
    chooser.value.set_files(seven)
    expect_answer(page, "7")


def test_the_same_file_can_be_uploaded_again(page: Page, seven: Path) -> None:
    for _ in range(2):
        page.get_by_label("Upload").set_input_files(seven)
        expect_answer(page, "7")
        page.get_by_role("button", name="Clear").click()
        expect(answer(page)).to_be_empty()


def test_a_pasted_image_is_predicted(browser: Browser, service: Service) -> None:
    with visiting(browser, service.url, permissions=CLIPBOARD) as (page, _):
        page.evaluate(COPY, b64encode(SEVEN).decode())
        page.keyboard.press("Control+v")
        expect_answer(page, "7")


def test_a_dropped_image_is_predicted(page: Page, seven: Path) -> None:
    drop(page, seven)
    expect_answer(page, "7")


def test_several_dropped_files_are_all_read_in_a_strip(page: Page, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("seven.png", "letter.txt", "one.png")]
    paths[0].write_bytes(SEVEN)
    paths[1].write_text("Dear digit")
    paths[2].write_bytes(ONE)
    drop(page, *paths)
    expect_answer(page, "7")
    expect(page.locator("#strip-state")).to_contain_text("3 images read")
    strip = page.get_by_role("group", name="Answers to the images")
    shown = [button.inner_text().split("\n") for button in strip.get_by_role("button").all()]
    assert [(lines[-1], lines[0]) for lines in shown] == [
        ("seven.png", "7"), ("letter.txt", "unread"), ("one.png", "1")
    ]  # fmt: skip
    strip.get_by_role("button", name="one.png").click()
    expect_answer(page, "1")
    page.get_by_role("button", name="Clear").click()
    expect(strip).to_be_hidden()


def test_a_photo_of_25_megapixels_is_scaled_down_upright_before_it_is_sent(
    page: Page, tmp_path: Path
) -> None:
    """It is larger than the service accepts as a PNG, and stored on its side as phones do."""
    path = tmp_path / "photo.jpg"
    sheet = Image.open(BytesIO(SEVEN)).resize((5000, 5000)).rotate(90)
    exif = Image.Exif()
    exif[ORIENTATION] = ROTATED
    sheet.save(path, exif=exif)
    record_sent_images(page)
    page.get_by_label("Upload").set_input_files(path)
    expect_answer(page, "7")
    photo = last_sent_image(page)
    assert photo.format == "JPEG"
    assert photo.size == (2048, 2048)
    assert ORIENTATION not in photo.getexif()


def test_an_image_dropped_on_another_view_is_predicted_in_draw(page: Page, seven: Path) -> None:
    page.get_by_role("link", name="Models").click()
    expect(pad(page)).to_be_hidden()
    drop(page, seven)
    expect(pad(page)).to_be_visible()
    expect_answer(page, "7")


def test_an_image_can_be_drawn_on(page: Page, seven: Path) -> None:
    page.get_by_label("Upload").set_input_files(seven)
    expect_answer(page, "7")
    seen = page.locator("#seen")
    before = seen.get_attribute("src")
    draw(page, [lines((0.2, 0.8), (0.8, 0.8))])
    expect(seen).not_to_have_attribute("src", before or "")
    page.get_by_role("button", name="Undo").click()
    expect(seen).to_have_attribute("src", before or "")


def test_the_image_of_the_camera_is_predicted(browser: Browser, service: Service) -> None:
    with visiting(browser, service.url, permissions=["camera"]) as (page, _):
        page.get_by_role("button", name="Camera").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        video = page.locator("dialog video")
        expect(video).to_have_js_property("readyState", 4)
        dialog.get_by_role("button", name="Take photo").click()
        expect(dialog).to_be_hidden()
        expect_answer(page, "7")
        expect(video).to_have_js_property("srcObject", None)  # or the camera is still on


def test_the_camera_is_off_after_its_dialog_is_closed(browser: Browser, service: Service) -> None:
    with visiting(browser, service.url, permissions=["camera"]) as (page, _):
        page.get_by_role("button", name="Camera").click()
        video = page.locator("dialog video")
        expect(video).to_have_js_property("readyState", 4)
        track = video.evaluate_handle("(video) => video.srcObject.getTracks()[0]")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(video).to_have_js_property("srcObject", None)  # its event is a little delayed
        assert track.evaluate("(track) => track.readyState") == "ended"


def test_a_denied_camera_is_explained(browser: Browser, service: Service) -> None:
    with visiting(browser, service.url, permissions=[]) as (page, _):
        page.get_by_role("button", name="Camera").click()
        expect(page.locator("#notice")).to_contain_text("does not let this page use the camera")
        expect(page.get_by_role("dialog")).to_be_hidden()


def test_a_missing_camera_is_explained(playwright: Playwright, service: Service) -> None:
    with (
        launched(playwright) as blind,
        visiting(blind, service.url, permissions=["camera"]) as (page, _),
    ):
        page.get_by_role("button", name="Camera").click()
        expect(page.locator("#notice")).to_contain_text("no camera")


@pytest.mark.parametrize("way", ["button", "key"])
def test_a_random_test_digit_has_its_label(page: Page, way: str) -> None:
    with page.expect_response("**/v1/samples/random") as sample:
        if way == "button":
            page.get_by_role("button", name="Random test digit").click()
        else:
            page.keyboard.press("r")
    expect(page.locator("#truth")).to_contain_text(sample.value.json()["label"])
    expect(answer(page)).not_to_be_empty()


def test_the_label_disappears_with_its_digit(page: Page) -> None:
    truth = page.locator("#truth")
    page.get_by_role("button", name="Random test digit").click()
    expect(truth).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    expect(truth).to_be_hidden()


def test_a_file_that_is_not_an_image_is_explained(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear digit")
    page.get_by_label("Upload").set_input_files(path)
    expect(page.locator("#notice")).to_contain_text("letter.txt is not an image")
    expect(answer(page)).to_be_empty()


def test_the_error_of_the_service_about_an_image_is_shown(
    page: Page, guard: Guard, service: Service, tmp_path: Path
) -> None:
    guard.allow("status of 422 .*/v1/predict")
    path = tmp_path / "broken.png"
    path.write_bytes(SEVEN[:100])
    with service.client() as client:
        detail = client.post("/v1/predict", content=SEVEN[:100]).json()["detail"]
    page.get_by_label("Upload").set_input_files(path)
    expect(page.locator("#notice")).to_contain_text(detail, ignore_case=True)
    expect(page.locator("#sure")).to_have_text("This image was not read")
    expect(page.locator("#truth")).to_be_hidden()  # the image is damaged, whatever the browser


def test_a_notice_disappears_with_the_next_action(page: Page, seven: Path, tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear digit")
    page.get_by_label("Upload").set_input_files(path)
    notice = page.get_by_role("status").filter(has_text="is not an image")
    expect(notice).to_be_visible()
    page.get_by_label("Upload").set_input_files(seven)
    expect_answer(page, "7")
    expect(notice).to_have_count(0)
