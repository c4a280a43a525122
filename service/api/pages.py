"""Pages for browsers: the web page at /, and the documentation of the API at /docs.

    /               web/index.html       draw, look at models, watch the service
    /web/...        what lies beside it
    /docs           Swagger UI
    /openapi.json   what it reads

Each has a Content-Security-Policy: it loads scripts from this service alone, connects to nothing
else, and cannot be framed. Inline scripts and styles are listed by their hashes. The pages on
problems are in `problem_pages`.
"""

import re
from base64 import b64encode
from hashlib import sha256
from os import stat_result
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from service.http.compression import compressed_pages

SCRIPTS = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
STYLES = re.compile(rb"<style>(.*?)</style>", re.DOTALL)
STATIC = "static-offline-docs"  # where FastAPIOffline puts Swagger UI
WEB = Path(__file__).parents[2] / "web"
OPENAPI = "/openapi.json"
# Paths of what is text and large: compressed for a client that prefers it.
COMPRESSED = {"/", "/web", "/docs", OPENAPI, f"/{STATIC}"}
# Browsers revalidate each file, so that an update is visible at once in all of them.
FRESH = {"cache-control": "no-cache"}


class _Files(StaticFiles):
    def file_response(
        self, full_path: Any, stat_result: stat_result, scope: Any, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(FRESH)
        return response


def add_pages(app: FastAPI) -> None:
    files = _Files(directory=WEB)  # RuntimeError if there is none
    _add_page_and_docs(app, files)
    app.mount("/web", files)
    for index, route in enumerate(app.routes):
        if not isinstance(route, Route | Mount) or route.path not in COMPRESSED:
            continue
        if route.path == OPENAPI:  # FastAPI's would generate the document on the event loop
            app.routes[index] = route = Route(OPENAPI, lambda _: JSONResponse(app.openapi()))
        route.app = compressed_pages(route.app)


def _add_page_and_docs(app: FastAPI, files: StaticFiles) -> None:
    page_policy = page_headers(b"", camera=True)  # nothing stands inline in it
    docs = get_swagger_ui_html(
        openapi_url=OPENAPI.removeprefix("/"),
        title="digitserve: the API",
        swagger_js_url=f"{STATIC}/swagger-ui-bundle.js",
        swagger_css_url=f"{STATIC}/swagger-ui.css",
        swagger_favicon_url=f"{STATIC}/favicon.png",
    )
    # Swagger UI writes styles into its elements as it goes, and its images are in its scripts.
    content, headers = bytes(docs.body), page_headers(bytes(docs.body), inline_styles=True)

    @app.get("/", include_in_schema=False)
    async def _page(request: Request) -> Response:
        page = await files.get_response("index.html", request.scope)
        page.headers.update(page_policy)
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
