"""Refuses what the page of another site sends: a browser asks the service first only in some cases.

    page of another site --a form, or an image as text/plain--> browser --> service at localhost

Browsers name the page's origin, and newer ones its relation to the service, in headers that no page
can set. Other clients send neither. Routes for which a secret is needed are safe without this: no
browser adds one by itself.
"""

from collections.abc import Mapping, Sequence

from service.errors import Problem
from service.problem_types.feedback import CROSS_SITE

SAME = (b"same-origin", b"none")  # none: the user's own action, such as an address typed in


def check_site(headers: Mapping[bytes, bytes], origins: Sequence[str]) -> None:
    """Problem 403 unless a request comes from the service's own page, an origin in `origins`, or a
    client that is no browser.

    A proxy may change Host, so that Sec-Fetch-Site counts first; browsers send it over https.
    """
    origin, site = headers.get(b"origin"), headers.get(b"sec-fetch-site")
    if origin is not None and {"*", origin.decode("latin-1")} & {*origins}:
        return
    if site is not None:
        same = site in SAME
    else:
        same = origin is None or origin.partition(b"://")[2] == headers.get(b"host")
    if not same:
        raise Problem(
            CROSS_SITE,
            "the page that sends this is of another origin than the service: its origin must be in "
            "DIGITSERVE_CORS_ORIGINS, or a proxy in between must pass Host on unchanged",
        )
