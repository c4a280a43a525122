"""Bodies of the type application/x-www-form-urlencoded, which says little of what they are.

HTTP clients name it for whatever they are given: curl --data-binary, urllib, HttpURLConnection.

    zero bytes, or not ASCII  a picture file          curl --data-binary @seven.png
    {"image": ...             JSON, see `forms`       curl -d '{"image": "iVBOR..."}'
    image=...&image=...       base64, or whole files  curl --data-urlencode image@seven.png
"""

import binascii

from service.bounds import check_pictures
from service.decode import SIGNATURES, NotAPicture
from service.errors import Problem
from service.formats import foreign
from service.forms import EMPTY, Sent, from_json, picture_of_field
from service.problem_types.content import BAD_FORM, TOO_MANY_PARTS
from service.settings import Settings


def from_urlencoded(body: bytes, content_type: bytes, settings: Settings) -> list[Sent]:
    """The pictures of a form; Problem or NotAPicture says what is wrong with it."""
    if body.lstrip()[:1] == b"{":
        return from_json(body, content_type, settings)
    named = foreign.name_of(body)
    if named is not None:
        raise NotAPicture(named)
    fields = body.translate(None, b"\r\n").split(b"&", settings.max_parts)
    if len(fields) > settings.max_parts:
        raise Problem(
            TOO_MANY_PARTS,
            f"the form has more than {settings.max_parts} fields (DIGITSERVE_MAX_PARTS)",
        )
    sent: list[Sent] = []
    for field in filter(None, fields):
        name, equals, value = field.partition(b"=")
        if not equals:
            raise Problem(
                BAD_FORM,
                "the body is neither a picture file nor a form; send the file as it is, as curl "
                "--data-binary @seven.png does, or image=<base64>",
            )
        sent.append(picture_of_field(_unquoted(name).decode(errors="replace"), _content_of(value)))
        check_pictures(len(sent), settings)
    if not sent:
        raise Problem(BAD_FORM, EMPTY)
    return sent


def _content_of(value: bytes) -> bytes:
    """What a field holds. A + is a blank in a file, but itself in base64, which has no blanks."""
    content = _unquoted(value)
    return _unquoted(value.replace(b"+", b"%20")) if content.startswith(SIGNATURES) else content


def _unquoted(text: bytes) -> bytes:
    """Without percent-encoding, unless that is damaged, in one pass: of three million escapes
    `urllib.parse` would make as many objects.
    """
    escapes = text.count(b"%")
    # Quoted-printable is the same, but with another sign.
    unquoted = binascii.a2b_qp(text.replace(b"=", b"=3D").replace(b"%", b"=")) if escapes else text
    return unquoted if len(unquoted) == len(text) - 2 * escapes else text
