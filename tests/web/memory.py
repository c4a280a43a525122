"""What a page leaves behind in a browser: everything but what only its own memory holds."""

from playwright.sync_api import Page

_STORED = """async () => {
  const databases = await indexedDB.databases(), stores = await caches.keys();
  return JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie,
    location.href, history.state, databases, stores, document.documentElement.outerHTML]);
}"""


def left_behind(page: Page) -> str:
    """Storage of all kinds, the address, cookies and the page's own text."""
    return f"{page.evaluate(_STORED)} {page.context.cookies()}"
