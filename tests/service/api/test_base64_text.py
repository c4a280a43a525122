"""Base64 in JSON: variants that clients send are read if unambiguous, else the error says why."""

from base64 import b64encode, urlsafe_b64encode

import httpx2
import pytest

from tests.support.pictures import encoded, seven
from tests.support.problems import problem
from tests.support.running import Service


def picture_whose(condition: str) -> bytes:
    """An image of a seven whose base64 has both + and /, and this many = at its end."""
    for side in range(100, 300):
        body = encoded(seven(side=side))
        text = b64encode(body)
        if b"+" in text and b"/" in text and len(text) - len(text.rstrip(b"=")) == int(condition):
            return body
    raise AssertionError(condition)


IMAGES = {padding: picture_whose(str(padding)) for padding in (0, 1, 2)}
TEXT = b64encode(IMAGES[2]).decode()


def post(service: Service, text: str) -> httpx2.Response:
    with service.client() as client:
        return client.post("/v1/predict", json={"images": [text]})


def is_seven(response: httpx2.Response) -> bool:
    assert response.status_code == 200, response.text
    return bool(response.json()["predictions"][0]["digit"] == 7)


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,", "DATA:;base64,"])
@pytest.mark.parametrize("padding", IMAGES)
def test_base64_may_omit_padding_use_either_alphabet_or_have_blanks_for_plus(
    service: Service, padding: int, prefix: str
) -> None:
    usual = b64encode(IMAGES[padding]).decode()
    for_urls = urlsafe_b64encode(IMAGES[padding]).decode()
    for text in (usual, for_urls):
        assert is_seven(post(service, prefix + text))
        assert is_seven(post(service, prefix + text.rstrip("=")))
        assert is_seven(post(service, prefix + text[:76] + "\r\n" + text[76:].rstrip("=") + "\n"))
    assert is_seven(post(service, prefix + usual.replace("+", " ")))


@pytest.mark.parametrize("end", ["", " ", "  "])
@pytest.mark.parametrize("separator", [" ", "\r\n "], ids=["blank", "folded"])
@pytest.mark.parametrize("width", [60, 64, 72, 76, 80])
def test_blanks_between_lines_are_never_read_as_plus_signs(
    service: Service, width: int, separator: str, end: str
) -> None:
    """Otherwise some texts, of a length valid for base64, would decode to other images."""
    refused = 0
    for cut in range(4):
        text = b64encode(IMAGES[2]).decode()[: 400 - cut]
        lines = [text[start : start + width] for start in range(0, len(text), width)]
        response = post(service, separator.join(lines) + end)
        assert response.status_code in (400, 422)
        refused += "is a blank" in response.text
    assert refused == 4


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("AAA+AAA_", "it mixes - and _ of the alphabet for URLs with + and / of the usual"),
        ("AAA/AA-A", "it mixes"),
        ("AAA%AAA=", "character 4 is '%'"),
        ("data:image/png;base64,AAA%AAA=", "character 4 is '%'"),
        ("AA\tA", "character 3 is '\\t'"),
        ("AAAÄ", "character 4 is 'Ä'"),
        ("A\u20acAA", "character 2 is '€'"),
        ("AAAAA", "its length, 5, is one more than a multiple of 4"),
        (TEXT[:-3], "is one more than a multiple of 4"),
        ("AA=", "it ends in 1 = where 2 belong"),
        ("AAA==", "it ends in 2 = where 1 belong"),
        ("=", "it ends in 1 = where 0 belong"),
        ("AA==AAAA", "it goes on behind the = that is character 3"),
        (" " + TEXT, "character 1 is a blank"),
        (TEXT + " ", "is a blank"),
        (TEXT.replace("+", " ").rstrip("="), "unclear whether it was a +"),
        (" ".join(TEXT[at : at + 76] for at in range(0, len(TEXT), 76)), "character 77 is a blank"),
        (" ".join("A" * 76 for _ in range(5)), "character 77 is a blank"),
        ("AAA AA-A", "mixes"),
        ("https://example.org/seven.png", "it is an address, from which nothing is fetched"),
        ("data:image/png,%89PNG", "it is a data URL, but does not say ;base64,"),
        ("seven.png", "character 6 is '.'"),
    ],
)
def test_the_error_says_why_a_text_is_invalid_or_ambiguous(
    service: Service, text: str, reason: str
) -> None:
    detail = problem(post(service, text), 400)["detail"]
    assert detail.startswith("images[0] is neither base64 nor a data URL of it: ")
    assert reason in detail
