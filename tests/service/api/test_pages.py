"""The page at / over HTTP: its files, headers and size. Its behaviour is tested in tests/web."""

import gzip
import re

import brotli
import httpx2
import pytest

from tests.support import fetch
from tests.support.pictures import SEVEN
from tests.support.running import ROOT, Service

WEB = ROOT / "web"
MODULES = sorted(path.name for path in WEB.glob("*.js"))
STYLES = sorted(path.name for path in WEB.glob("*.css"))
LIMIT = 72 * 1024  # bytes of the page, its scripts and its stylesheets, with Brotli


def get(service: Service, path: str, **headers: str) -> httpx2.Response:
    with service.client() as client:
        return client.get(path, headers=headers)


def policy_of(page: httpx2.Response) -> dict[str, str]:
    parts = page.headers["Content-Security-Policy"].split("; ")
    return dict(part.split(" ", 1) for part in parts)


def test_the_page_is_served(service: Service) -> None:
    page = get(service, "/")
    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<title>digitserve</title>" in page.text


def test_everything_the_page_refers_to_exists_on_this_host(service: Service) -> None:
    named = re.findall(r'(?:src|href)="([^"#]+)"', get(service, "/").text)
    assert any(name.endswith("/main.js") for name in named)
    for name in named:
        assert ":" not in name
        assert get(service, f"/{name}").status_code == 200


def test_the_page_preloads_every_module(service: Service) -> None:
    preloaded = re.findall(r'rel="modulepreload" href="web/\w+/([^"]+)"', get(service, "/").text)
    assert sorted(preloaded) == MODULES


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_from_its_folder(service: Service, name: str) -> None:
    script = get(service, f"/web/{name}")
    assert script.headers["Content-Type"].startswith("text/javascript")
    imported = re.findall(r'from "\./([^"]+)"', script.text)
    assert {*imported} <= {*MODULES}
    assert script.text.count(' from "') == len(imported)


def test_the_page_may_only_run_its_scripts_and_connect_to_its_service(
    service: Service,
) -> None:
    page = get(service, "/")
    policy = policy_of(page)
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert page.headers["Permissions-Policy"].startswith("camera=(self), ")
    assert page.headers["X-Frame-Options"] == "DENY"


def test_no_other_page_may_use_the_camera(service: Service) -> None:
    assert get(service, "/docs").headers["Permissions-Policy"].startswith("camera=(), ")


def digest(service: Service) -> str:
    """The digest of all files, in the addresses of the page's files."""
    (found,) = {*re.findall(r'"web/(\w+)/', get(service, "/").text)}
    return str(found)


def test_the_files_of_the_page_are_kept_by_browsers_for_ever(service: Service) -> None:
    named = re.findall(r'(?:src|href)="(web/[^"]+)"', get(service, "/").text)
    assert len(named) > len(MODULES)
    for name in named:
        assert get(service, f"/{name}").headers["Cache-Control"] == (
            "public, max-age=31536000, immutable"
        )


def test_a_file_by_the_digest_of_another_release_is_served_but_revalidated(
    service: Service,
) -> None:
    """Behind a balancer, the page may come from a replica that is not updated yet."""
    other = get(service, f"/web/{digest(service)[::-1]}/main.js")
    assert other.content == (WEB / "main.js").read_bytes()
    assert other.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", ["/", "/web/main.js"])
def test_a_browser_revalidates_files_and_gets_only_new_ones(service: Service, path: str) -> None:
    first = get(service, path)
    assert first.headers["Cache-Control"] == "no-cache"
    again = get(service, path, **{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/web/",
        "/web/nothing.js",
        f"/web/{16 * '0'}/nothing.js",
        "/web/../service/app.py",
        "/web/%2e%2e/pyproject.toml",
        f"/web/{16 * '0'}/%2e%2e/%2e%2e/pyproject.toml",
    ],
)
def test_no_other_files_are_served(service: Service, path: str) -> None:
    answer = get(service, path)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("accepts", "coding"),
    [
        ("gzip", "gzip"),
        ("br", "br"),
        ("gzip, deflate, br, zstd", "br"),
        ("br;q=0.5, gzip", "gzip"),
        ("br;q=0, gzip;q=0.1", "gzip"),
    ],
)
@pytest.mark.parametrize(
    "path",
    ["/", "/web/main.js", "/docs", "/openapi.json", "/static-offline-docs/swagger-ui-bundle.js"],
)
def test_text_is_compressed_for_clients_that_prefer_it(
    service: Service, path: str, accepts: str, coding: str
) -> None:
    plain = get(service, path, **{"Accept-Encoding": "gzip;q=0, deflate"})
    assert "Content-Encoding" not in plain.headers
    with (
        service.client() as client,
        client.stream("GET", path, headers={"Accept-Encoding": accepts}) as packed,
    ):
        raw = b"".join(packed.iter_raw())
    assert packed.headers["Content-Encoding"] == coding
    decompressed = gzip.decompress(raw) if coding == "gzip" else brotli.decompress(raw)
    assert decompressed == plain.content
    assert packed.headers["Content-Length"] == str(len(raw))
    assert len(raw) < len(plain.content) / 1.5
    for answer in (plain, packed):
        assert answer.headers["Vary"].lower() == "accept-encoding"
        assert answer.headers["Content-Type"] == plain.headers["Content-Type"]


@pytest.mark.parametrize("path", ["/", "/web/main.js"])
def test_a_compressed_file_has_a_weak_tag_that_still_validates(service: Service, path: str) -> None:
    zipped, plain = {"Accept-Encoding": "gzip"}, {"Accept-Encoding": "identity"}
    tag = get(service, path, **plain).headers["ETag"]
    packed = get(service, path, **zipped)
    assert packed.headers["ETag"] == f"W/{tag}"
    assert packed.headers["Cache-Control"] == "no-cache"
    again = get(service, path, **zipped, **{"If-None-Match": f"W/{tag}"})
    assert (again.status_code, again.headers["ETag"]) == (304, f"W/{tag}")
    assert again.headers["Vary"].lower() == "accept-encoding"
    assert get(service, path, **plain, **{"If-None-Match": tag}).status_code == 304


def test_ranges_and_small_files_are_not_compressed(service: Service) -> None:
    part = get(service, "/web/main.js", **{"Accept-Encoding": "gzip", "Range": "bytes=0-9"})
    assert (part.status_code, len(part.content)) == (206, 10)
    small = get(service, "/static-offline-docs/favicon.png", **{"Accept-Encoding": "gzip"})
    for answer in (part, small):
        assert "Content-Encoding" not in answer.headers


def test_predictions_and_live_events_are_not_compressed(service: Service) -> None:
    accepts = {"Accept-Encoding": "gzip"}
    events = get(service, "/v1/live?events=1", **accepts)
    answer = fetch.post(f"{service.url}/v1/predict", content=SEVEN, headers=accepts)
    for each in (events, answer):
        assert each.status_code == 200
        assert "Content-Encoding" not in each.headers


def test_the_page_is_small(service: Service) -> None:
    sizes = {}
    with service.client() as client:
        for name in ("index.html", *MODULES, *STYLES):
            with client.stream("GET", f"/web/{name}", headers={"Accept-Encoding": "br"}) as file:
                sizes[name] = sum(len(part) for part in file.iter_raw())
    assert sum(sizes.values()) <= LIMIT, sizes
