"""What the Content-Type of a prediction request means: an image file, or a form with some.

    image/*, or a type that says nothing    an image file: its first bytes determine the format
    multipart/form-data, JSON               a form
    application/x-www-form-urlencoded       either: its bytes say which
    anything else                           415

A missing type, or one that only says that bytes are sent, is the default of some client. A type
that names text, video or a document was chosen: to guess would hide the mistake.
"""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from contract.card import ModelCard
from preprocessing.decoder import SIGNATURES
from preprocessing.encoding import data_url, png_of
from service.api.schemas import example_image
from service.api.v1.bodies import (
    Form,
    ImagesRequest,
    from_json,
    from_multipart,
    from_urlencoded,
    is_text,
)
from service.errors import Problem
from service.models.loading import FEW_LABELS
from service.problem_types.content import (
    MEDIA_TYPE_MISMATCH,
    UNSUPPORTED_ENCODING,
    UNSUPPORTED_MEDIA_TYPE,
)

# As nearly all clients write them, so that most requests need no further look.
IMAGE_TYPES = frozenset(
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


def check_head(headers: Mapping[bytes, bytes]) -> None:
    """Problem 415 unless the body may hold images, and is not compressed."""
    content_type = headers.get(b"content-type", b"")
    if content_type not in IMAGE_TYPES:
        check_type(content_type)
    if b"content-encoding" in headers and headers[b"content-encoding"] != b"identity":
        raise Problem(
            UNSUPPORTED_ENCODING,
            "compressed bodies are not taken here: image files are compressed already",
            headers={"accept-encoding": "identity"},
        )


def check_type(content_type: bytes) -> None:
    """Problem 415 unless the body may hold images."""
    kind = _kind_of(content_type)
    if kind.startswith(b"image/") or kind in BYTES or kind in (MULTIPART, URLENCODED):
        return
    if not _is_json(kind):
        raise Problem(
            UNSUPPORTED_MEDIA_TYPE,
            f"{kind[:64].decode('latin-1')} holds no images; send an image file as image/png, "
            "any other image/* or application/octet-stream (curl -H 'Content-Type: image/png' "
            "--data-binary @seven.png), or several in multipart/form-data or application/json",
            headers={
                "accept": "image/*, application/octet-stream, multipart/form-data, application/json"
            },
        )


def form_of(content_type: bytes, body: bytes) -> Form | None:
    """How to unpack a body of that type; None if it is an image file itself."""
    kind = _kind_of(content_type)
    if kind == URLENCODED:
        return from_urlencoded if is_text(body) else None
    form = from_multipart if kind == MULTIPART else from_json if _is_json(kind) else None
    if form is not None and body.startswith(SIGNATURES):
        raise Problem(
            MEDIA_TYPE_MISMATCH,
            f"the Content-Type says {kind[:64].decode('latin-1')}, but the body is an image file; "
            "send it as image/png or application/octet-stream",
        )
    return form


def predict_content(card: ModelCard) -> dict[str, Any]:
    """For OpenAPI, every form that the body may have."""
    example = png_of(example_image(card))
    image = b64encode(example).decode()
    file = {"type": "string", "format": "binary", "description": "an image file"}
    text = {"type": "string", "format": "byte", "minLength": 1, "description": "base64, data URL"}
    files = "files, or base64 or data URLs of them, under any name"
    texts = "base64 or data URLs under any name; or a file as it is"
    document = {
        "title": ImagesRequest.__name__,
        "oneOf": [_object("image", text), _object("images", _list_of(text))],
    }
    examples = {
        "one": {"value": {"image": image}},
        "several": {"value": {"images": [image, data_url(example)]}},
    }
    return {
        **{kind.decode(): {"schema": file} for kind in sorted(IMAGE_TYPES) if kind},
        "image/*": {"schema": file},
        MULTIPART.decode(): {"schema": _object("image", _list_of(file), description=files)},
        URLENCODED.decode(): {"schema": _object("image", _list_of(text), description=texts)},
        "application/json": {"schema": document, "examples": examples},
    }


def correction_content(card: ModelCard) -> dict[str, Any]:
    """For OpenAPI, the same of a correction: one image, and texts beside it."""
    content = predict_content(card)
    text = {"type": "string", "minLength": 1}
    texts = {
        "label": text | {"enum": list(card.labels)} if len(card.labels) <= FEW_LABELS else text,
        "request_id": text | {"description": "X-Request-ID of the prediction that is corrected"},
    }
    image = {"type": "string", "format": "byte", "minLength": 1, "description": "base64, data URL"}
    example = b64encode(png_of(example_image(card))).decode()
    for kind, schema in (
        (MULTIPART, {"type": "string", "format": "binary", "description": "an image file"}),
        (URLENCODED, image),
        (b"application/json", image),
    ):
        form = _object("image", schema)
        form["properties"] |= texts
        content[kind.decode()] = {"schema": form}
    value = {"image": example, "label": card.labels[min(7, len(card.labels) - 1)]}
    content["application/json"]["examples"] = {"one": {"value": value}}
    return content


def _object(name: str, schema: dict[str, Any], **more: str) -> dict[str, Any]:
    """The schema of an object with this field alone."""
    return {
        "type": "object",
        "properties": {name: schema},
        "required": [name],
        "additionalProperties": False,
        **more,
    }


def _list_of(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema, "minItems": 1}


def _is_json(kind: bytes) -> bool:
    return kind in JSON or (kind.startswith(b"application/") and kind.endswith(b"+json"))


def _kind_of(content_type: bytes) -> bytes:
    """The media type, without its parameters."""
    return content_type.partition(b";")[0].strip().lower()
