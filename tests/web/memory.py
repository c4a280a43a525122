"""What a page stores in a browser: everything except for the memory of its scripts."""

from playwright.sync_api import Page

_STORED = """async () => {
  const databases = await indexedDB.databases(), stores = await caches.keys();
  return JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie,
    location.href, history.state, databases, stores, document.documentElement.outerHTML]);
}"""


def left_behind(page: Page) -> str:
    """Storage of all kinds, the address, cookies and the text of the page."""
    return f"{page.evaluate(_STORED)} {page.context.cookies()}"
