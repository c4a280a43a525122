"""A page on each kind of problem, where the `type` of a problem document points.

    /problems          all of them, by status
    /problems/<code>   what it means, what to do, which setting bounds it, whether to try again

Links are relative, for the service may stand behind a prefix. The pages need no key and no script.
"""

import re
from html import escape
from http import HTTPStatus
from itertools import groupby

import orjson
from fastapi import APIRouter
from starlette.responses import HTMLResponse

from service.api.pages import FRESH, page_headers
from service.errors import PAGES, Problem, ProblemType
from service.problem_types import TYPES
from service.problem_types.http import NO_SUCH_ROUTE

STYLE = """
body { overflow-wrap: anywhere }
main > * + *, section > * + * { margin-top: 12px }
main { max-width: 760px }
code, pre { font: .92em/1.5 ui-monospace, monospace }
pre { margin: 0; padding: 12px; border-radius: 10px; background: var(--soft) }
pre { white-space: pre-wrap }
ul { margin: 0; padding-left: 1.2em }
li { padding: 3px 0 }
h2 + p, h2 + ul, h2 + pre { margin-top: 4px }
"""
DOCUMENT = (
    "`detail` says what happened to that request; the log has more under its `request_id`. Under "
    "`/v2` an error is a JSON object with `error` alone, as the Open Inference Protocol has it."
)


def problem_pages() -> APIRouter:
    router = APIRouter(include_in_schema=False)
    pages = {code: _page_of(kind) for code, kind in TYPES.items()}
    overview = _overview()
    headers = page_headers(overview.encode()) | FRESH  # they have the same style in them

    @router.get(PAGES)
    async def _all() -> HTMLResponse:
        return HTMLResponse(overview, headers=headers)

    @router.get(f"{PAGES}/{{code}}")
    async def _one(code: str) -> HTMLResponse:
        if code not in pages:
            raise Problem(
                NO_SUCH_ROUTE, "there is no such kind of problem; GET /problems lists all"
            )
        return HTMLResponse(pages[code], headers=headers)

    return router


def _page_of(kind: ProblemType) -> str:
    document = kind.document("...", "...")
    return _page(
        kind.title,
        f"""<p class="quiet"><code>{kind.code}</code>, status {_status(kind.status)}</p>
<section class="card">
<h2>What it means</h2>
<p>{_text(kind.meaning)}</p>
<h2>What to do</h2>
<p>{_text(kind.remedy)}</p>
<h2>Whether to try again</h2>
<p>{_text(_retry(kind))}</p>
{_bounds(kind)}</section>
<section class="card">
<h2>How it looks</h2>
<pre>{escape(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())}</pre>
<p class="quiet">{_text(DOCUMENT)}</p>
</section>""",
        up="../",
    )


def _retry(kind: ProblemType) -> str:
    if not kind.retry:
        return "No: the same request is refused again. Change the request or the service first."
    if kind.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return "Yes, after the number of seconds that the `Retry-After` header of the answer gives."
    return "Yes: the same request may succeed, so an idempotent one can be sent again."


def _bounds(kind: ProblemType) -> str:
    if not kind.settings:
        return ""
    names = ", ".join(f"<code>{name}</code>" for name in kind.settings)
    return (
        f"<h2>Which setting decides</h2>\n<p>{names}, which the operator of the service sets.</p>\n"
    )


def _overview() -> str:
    kinds = sorted(TYPES.values(), key=lambda kind: (kind.status, kind.title))
    sections = "\n".join(
        f'<section class="card">\n<h2>{_status(status)}</h2>\n<ul>\n'
        + "\n".join(
            f'<li><a href="problems/{kind.code}">{escape(kind.title)}</a> '
            f'<code class="quiet">{kind.code}</code></li>'
            for kind in some
        )
        + "\n</ul>\n</section>"
        for status, some in groupby(kinds, key=lambda kind: kind.status)
    )
    text = "The `type` of a problem document names one of these kinds. Each has a page."
    return _page("Problems", f'<p class="quiet">{_text(text)}</p>\n{sections}', up="./")


def _page(title: str, content: str, *, up: str) -> str:
    """`up` leads from the page's address to the root of the service."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}: digitserve</title>
<link rel="icon" href="{up}web/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="{up}web/style.css">
<style>{STYLE}</style>
</head>
<body>
<header>
  <a class="brand" href="{up}">
    <img src="{up}web/icon.svg" alt="" width="32" height="32"> digitserve
  </a>
  <nav aria-label="Documentation">
    <a href="{up}problems">Problems</a>
    <a href="{up}docs">API</a>
  </nav>
</header>
<main>
<h1>{escape(title)}</h1>
{content}
</main>
</body>
</html>
"""


def _status(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"


def _text(text: str) -> str:
    """Text in HTML, with what stands between backticks as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))
