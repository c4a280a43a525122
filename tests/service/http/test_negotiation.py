"""The offered type that a client prefers is chosen."""

import pytest

from service.http.negotiation import preferred

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
OFFERS = (TEXT, OPENMETRICS)


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, TEXT),
        (b"", TEXT),
        (b"*/*", TEXT),
        (b"text/*", TEXT),
        (b"application/*", OPENMETRICS),
        (b"application/openmetrics-text", OPENMETRICS),
        (b"Application/OpenMetrics-Text; Version=1.0.0; Charset=\"UTF-8\"", OPENMETRICS),
        (b"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2",
         OPENMETRICS),
        (b"application/openmetrics-text;version=1.0.0;q=0.2,text/plain;version=0.0.4;q=0.5", TEXT),
        # as sent by Prometheus 2.42 and 3.5
        (b"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
         b"q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", OPENMETRICS),
        (b"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
         b"application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;"
         b"escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2", OPENMETRICS),
        # an unknown version
        (b"application/openmetrics-text;version=0.0.1,text/plain;q=0.1", TEXT),
        (b"text/plain;version=1.0.0,application/openmetrics-text;q=0.1", OPENMETRICS),
        # the most specific range decides, whatever else would match
        (b"*/*,application/openmetrics-text;q=0", TEXT),
        (b"text/plain;q=0, */*;q=0.1", OPENMETRICS),
        (b"text/plain;version=0.0.4;q=0, text/plain, application/*;q=0.1", OPENMETRICS),
        (b"application/openmetrics-text, */*", OPENMETRICS),
        (b"text/plain, application/openmetrics-text", TEXT),
        # an invalid weight
        (b"application/openmetrics-text;q=much, text/plain;q=0.001", TEXT),
        (b"application/openmetrics-text;q=nan, text/plain;q=0.001", TEXT),
        (b"application/openmetrics-text;q=2, text/plain;q=0.001", TEXT),
        # neither is accepted
        (b"text/html", None),
        (b"*/*;q=0", None),
        (b"text/plain;q=0", None),
        (b"nonsense", None),
        # longer than any real header
        (b"application/openmetrics-text," * 1000, TEXT),
    ],
)  # fmt: skip
def test_the_weights_decide(accept: bytes | None, wanted: str | None) -> None:
    assert preferred(accept, OFFERS) == wanted
