"""Pages for browsers: the web page at /, and the documentation of the API at /docs.

    /                    web/index.html    draw, look at models, watch the service
    /web/<digest>/...    what lies beside it
    /docs                Swagger UI
    /openapi.json        what it reads

The page names its files with the digest of all of them, so that browsers keep these for ever: a
second visit revalidates the page alone, and a changed file has another address. With another
digest, as after an update of another replica, a file is served all the same, but revalidated.

Each has a Content-Security-Policy: it loads scripts from this service alone, connects to nothing
else, and cannot be framed. Inline scripts and styles are listed by their hashes. The pages on
problems are in `problem_pages`.
"""

import re
from base64 import b64encode
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

from service.http.compression import CompressedPages

SCRIPTS = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
STYLES = re.compile(rb"<style>(.*?)</style>", re.DOTALL)
STATIC = "static-offline-docs"  # where FastAPIOffline puts Swagger UI
WEB = Path(__file__).parents[2] / "web"
OPENAPI = "/openapi.json"
# Paths of what is text and large, compressed for a client that prefers it: the number of documents.
COMPRESSED = {"/": 1, "/web": 64, "/docs": 1, OPENAPI: 1, f"/{STATIC}": 8}
DIGEST = 16  # hexadecimal digits
ADDRESSED = re.compile(rf"([0-9a-f]{{{DIGEST}}})/(.+)")
FRESH = {"cache-control": "no-cache"}  # browsers keep it, and revalidate it each time
FOR_EVER = {"cache-control": "public, max-age=31536000, immutable"}
# Swagger UI is dark if its document has this class: as chosen on the page, or as the system is.
DOCS_THEME = """<script>
const dark = matchMedia("(prefers-color-scheme: dark)");
function apply() {
  const theme = localStorage.getItem("theme") || (dark.matches ? "dark" : "light");
  document.documentElement.classList.toggle("dark-mode", theme === "dark");
}
dark.addEventListener("change", apply);
apply();
</script>
</head>"""


class _Files(StaticFiles):
    """The files of a folder, also under the digest of all of them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder)  # RuntimeError if there is none
        self._folder = folder
        self.digest()

    def digest(self) -> str:
        """Computed anew only if a file has changed."""
        stats = ((path.name, path.stat()) for path in self._folder.iterdir() if path.is_file())
        stamps = sorted((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)
        return _digest(self._folder, tuple(stamps))

    async def get_response(self, path: str, scope: Scope) -> Response:
        addressed = ADDRESSED.fullmatch(path)
        digest, name = addressed.groups() if addressed else ("", path)
        response = await super().get_response(name, scope)
        is_current = digest == await run_in_threadpool(self.digest)
        response.headers.update(FOR_EVER if is_current else FRESH)
        return response

    def page(self, name: str) -> Response:
        """An HTML file, which refers to the others by their digest."""
        digest = self.digest()
        html = (self._folder / name).read_bytes().replace(b'"web/', f'"web/{digest}/'.encode())
        return HTMLResponse(html, headers={"etag": f'"{digest}"'} | FRESH)


@lru_cache(1)
def _digest(folder: Path, stamps: tuple[tuple[str, int, int], ...]) -> str:
    digest = sha256()
    for name, _, size in stamps:
        digest.update(f"{name} {size} ".encode())
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:DIGEST]


def add_pages(app: FastAPI) -> None:
    files = _Files(WEB)
    _add_page_and_docs(app, files)
    app.mount("/web", files)
    for index, route in enumerate(app.routes):
        if not isinstance(route, Route | Mount) or route.path not in COMPRESSED:
            continue
        if route.path == OPENAPI:  # FastAPI's would generate the document on the event loop
            app.routes[index] = route = Route(OPENAPI, lambda _: JSONResponse(app.openapi()))
        route.app = CompressedPages(route.app, documents=COMPRESSED[route.path])


def _add_page_and_docs(app: FastAPI, files: _Files) -> None:
    page_policy = page_headers(b"", camera=True)  # nothing stands inline in it
    docs = get_swagger_ui_html(
        openapi_url=OPENAPI.removeprefix("/"),
        title="digitserve: the API",
        swagger_js_url=f"{STATIC}/swagger-ui-bundle.js",
        swagger_css_url=f"{STATIC}/swagger-ui.css",
        swagger_favicon_url=f"{STATIC}/favicon.png",
    )
    # Swagger UI writes styles into its elements as it goes, and its images are in its scripts.
    content = bytes(docs.body).replace(b"</head>", DOCS_THEME.encode(), 1)
    headers = page_headers(content, inline_styles=True)

    @app.get("/", include_in_schema=False)
    def _page(request: Request) -> Response:
        page = files.page("index.html")
        page.headers.update(page_policy)
        if files.is_not_modified(page.headers, request.headers):
            return NotModifiedResponse(page.headers)
        return page

    @app.get("/docs", include_in_schema=False)
    async def _docs() -> HTMLResponse:
        return HTMLResponse(content, headers=headers)


def page_headers(
    html: bytes, *, inline_styles: bool = False, camera: bool = False
) -> dict[str, str]:
    """The headers of a page that may do what its own text needs, and nothing else."""
    scripts = _hashes(SCRIPTS.findall(html))
    styles = " 'unsafe-inline'" if inline_styles else _hashes(STYLES.findall(html))
    return {
        "content-security-policy": (
            f"default-src 'none'; script-src 'self'{scripts}; style-src 'self'{styles}; "
            "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        ),
        "cross-origin-opener-policy": "same-origin",
        "permissions-policy": f"camera=({'self' if camera else ''}), geolocation=(), microphone=()",
        "referrer-policy": "no-referrer",
        "x-frame-options": "DENY",
    }


def _hashes(inline: list[bytes]) -> str:
    """What a policy needs to allow these texts between tags."""
    digests = (b64encode(sha256(text).digest()).decode() for text in inline)
    return "".join(f" 'sha256-{digest}'" for digest in digests)
