"""What a browser shows: the documentation of the API, with a policy of what it may load and run.

A page runs scripts of ours alone, talks to us alone, and is shown in nobody's frame. What stands
inline in it is named by its hash.
"""

import re
from base64 import b64encode
from hashlib import sha256

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse

SCRIPTS = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
STATIC = "static-offline-docs"  # where FastAPIOffline puts Swagger UI


def pages() -> APIRouter:
    router = APIRouter(include_in_schema=False)
    docs = get_swagger_ui_html(
        openapi_url="openapi.json",
        title="digitserve: the API",
        swagger_js_url=f"{STATIC}/swagger-ui-bundle.js",
        swagger_css_url=f"{STATIC}/swagger-ui.css",
        swagger_favicon_url=f"{STATIC}/favicon.png",
    )
    # Swagger UI writes styles into its elements as it goes, and its pictures are in its scripts.
    content, headers = bytes(docs.body), page_headers(bytes(docs.body), inline_styles=True)

    @router.get("/docs")
    async def _docs() -> HTMLResponse:
        return HTMLResponse(content, headers=headers)

    return router


def page_headers(html: bytes, *, inline_styles: bool = False) -> dict[str, str]:
    """The headers of a page that may do what its own text asks for, and nothing else."""
    digests = [b64encode(sha256(script).digest()).decode() for script in SCRIPTS.findall(html)]
    hashes = "".join(f" 'sha256-{digest}'" for digest in digests)
    styles = " 'unsafe-inline'" if inline_styles else ""
    return {
        "content-security-policy": (
            f"default-src 'none'; script-src 'self'{hashes}; style-src 'self'{styles}; "
            "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        ),
        "cross-origin-opener-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
        "referrer-policy": "no-referrer",
        "x-frame-options": "DENY",
    }
