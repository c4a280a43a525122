"""How the page shows a prediction: label, confidence, bars of the classes, pixels and timings."""

import re
import shutil
from base64 import b64decode
from io import BytesIO
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from contract.card import NonDigits
from contract.store import Store
from tests.support.pictures import SEVEN, encoded, seven
from tests.support.running import Service
from tests.support.versions import publish, warmer
from tests.web.eventually import eventually
from tests.web.pad import answer, draw, expect_answer
from tests.web.readings import Readings
from tests.web.shapes import DIGITS

UNSURE = re.compile(r"\bunsure\b")
TOLD = "(bars) => bars.map(({dataset}) => [dataset.label, Number(dataset.probability)])"
LENGTHS = "(bars) => bars.map((bar) => bar.getBoundingClientRect().width)"


def drawn(page: Page, digit: int) -> Readings:
    """Draw a digit; return the predictions received meanwhile."""
    readings = Readings(page)
    draw(page, DIGITS[digit])
    expect_answer(page, str(digit))
    return readings


def milliseconds(text: str) -> float:
    number, unit = text.split()
    return float(number) * {"µs": 0.001, "ms": 1, "s": 1000}[unit]


def text_after(page: Page, name: str) -> str:
    """The text of an entry in the list of timings."""
    term = page.locator("#stages dt", has_text=name)
    return term.locator("xpath=following-sibling::dd[1]").inner_text()


def test_every_class_has_a_bar_proportional_to_its_probability(page: Page) -> None:
    readings = drawn(page, 3)
    bars = page.locator("#bars li")
    expect(bars).to_have_count(10)

    def reported() -> dict[str, float]:
        return dict(bars.evaluate_all(TOLD))

    def wanted() -> dict[str, float]:
        return {str(at): each for at, each in enumerate(readings.prediction["probabilities"])}

    def longest() -> int:
        lengths: list[float] = bars.locator(".fill").evaluate_all(LENGTHS)
        return lengths.index(max(lengths))

    eventually(page, reported, wanted)
    eventually(page, longest, lambda: 3)  # the bars are animated for a moment


def test_the_confidence_is_shown(page: Page) -> None:
    readings = drawn(page, 6)

    def wanted() -> str:
        share = f"{100 * readings.prediction['confidence']:.1f} %"
        return f"{'> 99.9 %' if share == '100.0 %' else share} sure"

    eventually(page, page.locator("#sure").inner_text, wanted)


def test_an_uncertain_prediction_is_marked(page: Page, service: Service, tmp_path: Path) -> None:
    path = tmp_path / "doubtful.png"
    path.write_bytes(doubtful(service))
    page.get_by_label("Upload").set_input_files(path)
    expect(page.locator("#sure")).to_contain_text("Not sure")
    expect(page.locator("#why")).to_contain_text(
        re.compile(r"^[\d.]+ % sure; this version counts as sure from [\d.]+ %\.$")
    )
    expect(page.locator("#result")).to_have_class(UNSURE)
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#result")).not_to_have_class(UNSURE)


def test_an_image_that_is_not_one_digit_is_called_so(
    browser: Browser, store: Store, tmp_path: Path
) -> None:
    recognised = NonDigits(
        threshold=0.9, wanted=0.01, validation=1000, validation_accepted=0.01,
        validation_refused=0.01, test=1000, test_accepted=0.01, test_refused=0.01,
    )  # fmt: skip
    shutil.copytree(store.folder, tmp_path / "models/digits")
    own = Store(tmp_path / "models", "digits")
    own.activate(publish(own, own.open(), warmer(50), non_digits=recognised))
    path = tmp_path / "seven.png"
    path.write_bytes(SEVEN)
    with Service.started(own.folder.parent) as unsure:
        page = browser.new_page()
        page.goto(unsure.url)
        page.get_by_label("Upload").set_input_files(path)
        expect(page.locator("#sure")).to_have_text("Not sure: this may not be one digit")
        page.close()


def doubtful(service: Service) -> bytes:
    """An image of two digits at once, which the network is uncertain about."""
    digits = [seven(), seven()[::-1], seven()[:, ::-1], seven().T]
    with service.client() as client:
        for one, other in combinations(digits, 2):
            image = encoded(np.minimum(one, other))
            (reading,) = client.post("/v1/predict", content=image).json()["predictions"]
            if reading.get("uncertain"):
                return image
    raise AssertionError("the network is sure of everything")


def test_the_image_shown_is_the_input_of_the_network(
    page: Page, service: Service, tmp_path: Path
) -> None:
    path = tmp_path / "seven.png"
    path.write_bytes(SEVEN)
    page.get_by_label("Upload").set_input_files(path)
    with service.client() as client:
        expected = client.post("/v1/predict?debug=pixels", content=SEVEN).json()["predictions"][0]
    seen = page.locator("#seen")
    expect(seen).to_have_attribute("src", expected["pixels"])
    expect(seen).to_have_js_property("naturalWidth", 28)
    expect(seen).to_have_js_property("naturalHeight", 28)


def test_the_image_shown_is_that_of_the_drawing(page: Page) -> None:
    readings = drawn(page, 5)
    seen = page.locator("#seen")
    eventually(page, lambda: seen.get_attribute("src"), lambda: readings.prediction["pixels"])
    file = b64decode((seen.get_attribute("src") or "").partition(",")[2])
    pixels = np.asarray(Image.open(BytesIO(file)))
    assert pixels.shape == (28, 28)
    assert not pixels[0].any()  # background
    assert pixels.max() > 200  # ink


def test_the_timings_and_batch_size_of_a_prediction_are_shown(page: Page) -> None:
    readings = drawn(page, 1)

    def reported() -> list[float]:
        return [milliseconds(text_after(page, name)) for name in ("decode", "queue", "model")]

    def wanted() -> Any:
        times = [readings.times[stage] for stage in ("decode", "queue", "infer")]
        return pytest.approx(times, abs=0.05, rel=0.06)  # shown with one decimal or none

    eventually(page, reported, wanted)
    assert text_after(page, "batch").startswith(readings.batch)


def test_without_a_drawing_there_is_no_answer(page: Page) -> None:
    expect(answer(page)).to_be_empty()
    expect(page.locator("#sure")).to_have_text("Nothing drawn yet")
    expect(page.locator("#seen")).to_be_hidden()
    expect(page.locator("#stages")).to_be_empty()


def test_an_answer_is_announced_to_screen_readers(page: Page) -> None:
    draw(page, DIGITS[7])
    expect_answer(page, "7")
    announcement = page.locator("[role=status], [aria-live]").filter(has_text=re.compile(r"\b7\b"))
    expect(announcement).to_have_count(1)


def test_the_version_of_a_prediction_is_shown(page: Page) -> None:
    draw(page, DIGITS[7])
    expect(page.locator("#result")).to_contain_text("version 2")
