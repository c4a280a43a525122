"""The image files that a page sends; Playwright does not report bodies that are blobs."""

from base64 import b64decode
from io import BytesIO

from PIL import Image
from playwright.sync_api import Page

_RECORD = """() => {
  const original = window.fetch;
  window.fetch = (url, options) => {
    if (String(url).includes("v1/predict")) window.sentImage = options.body;
    return original(url, options);
  };
}"""
_LAST = """() => new Promise((resolve) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result);
  reader.readAsDataURL(window.sentImage);
})"""


def record_sent_images(page: Page) -> None:
    """From now on, until the page is left."""
    page.evaluate(_RECORD)


def last_sent_image(page: Page) -> Image.Image:
    content = page.evaluate(_LAST).partition(",")[2]
    return Image.open(BytesIO(b64decode(content)))
