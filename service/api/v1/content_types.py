"""What the Content-Type of a request for a prediction means: a picture file, or a form with some.

    image/*, or a type that says nothing    a picture file: its first bytes say of which format
    multipart/form-data, JSON               a form
    application/x-www-form-urlencoded       either: its bytes say which
    anything else                           415

A client that says nothing, or only that it sends bytes, has not thought about the type. One that
names a text, a video or a document has, and is wrong: to guess otherwise would hide its mistake.
"""

from preprocessing.decoder import SIGNATURES
from service.api.v1.bodies import Form, from_json, from_multipart, from_urlencoded, is_text
from service.errors import Problem
from service.problem_types.content import MEDIA_TYPE_MISMATCH, UNSUPPORTED_MEDIA_TYPE

# As nearly all clients write them, so that most requests need no further look.
PICTURES = frozenset(
    {
        b"image/png", b"image/jpeg", b"image/webp", b"image/bmp", b"image/gif", b"image/tiff",
        b"application/octet-stream", b"",
    }
)  # fmt: skip
# What stands for bytes of any kind: the three that https://mimesniff.spec.whatwg.org takes for
# unknown, and those that object stores and download tools name.
BYTES = frozenset(
    {
        b"", b"*/*", b"unknown/unknown", b"application/unknown", b"application/*",
        b"application/octet-stream", b"application/x-octet-stream", b"application/binary",
        b"binary/octet-stream", b"application/force-download", b"application/x-download",
    }
)  # fmt: skip
JSON = frozenset({b"application/json", b"text/json"})  # and every application/...+json
MULTIPART, URLENCODED = b"multipart/form-data", b"application/x-www-form-urlencoded"


def check_type(content_type: bytes) -> None:
    """Problem 415 unless the body may hold pictures."""
    kind = _kind_of(content_type)
    if kind.startswith(b"image/") or kind in BYTES or kind in (MULTIPART, URLENCODED):
        return
    if not _is_json(kind):
        raise Problem(
            UNSUPPORTED_MEDIA_TYPE,
            f"{kind[:64].decode('latin-1')} holds no pictures; send a picture file as image/png, "
            "any other image/* or application/octet-stream (curl -H 'Content-Type: image/png' "
            "--data-binary @seven.png), or several in multipart/form-data or application/json",
            headers={
                "accept": "image/*, application/octet-stream, multipart/form-data, application/json"
            },
        )


def form_of(content_type: bytes, body: bytes) -> Form | None:
    """How to unpack a body of that type; None if it is a picture file itself."""
    kind = _kind_of(content_type)
    if kind == URLENCODED:
        return from_urlencoded if is_text(body) else None
    form = from_multipart if kind == MULTIPART else from_json if _is_json(kind) else None
    if form is not None and body.startswith(SIGNATURES):
        raise Problem(
            MEDIA_TYPE_MISMATCH,
            f"the Content-Type says {kind[:64].decode('latin-1')}, but the body is a picture file; "
            "send it as image/png or application/octet-stream",
        )
    return form


def _is_json(kind: bytes) -> bool:
    return kind in JSON or (kind.startswith(b"application/") and kind.endswith(b"+json"))


def _kind_of(content_type: bytes) -> bytes:
    """The media type, without its parameters."""
    return content_type.partition(b";")[0].strip().lower()
