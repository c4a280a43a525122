"""Bodies that contain image files: multipart, JSON and urlencoded forms.

    multipart/form-data   each part an image, under any name          curl -F image=@seven.png
    application/json      {"image": text} or {"images": [text, ...]}   base64, or a data URL

The whole body is in memory already, bounded by MAX_BODY; parts, images and depth are bounded here.

HTTP clients send application/x-www-form-urlencoded for any content that they are given, as curl
--data-binary, urllib and HttpURLConnection do, so the content decides:

    zero bytes, or not ASCII  an image file           curl --data-binary @seven.png
    {"image": ...             JSON                    curl -d '{"image": "iVBOR..."}'
    image=...&image=...       base64, or whole files  curl --data-urlencode image@seven.png
"""

import binascii
import re
from typing import NamedTuple, Protocol, Self

from multipart import (
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)
from pydantic import BaseModel, ConfigDict, Field, model_validator

from preprocessing.decoder import SIGNATURES, NotAnImage
from preprocessing.unsupported import name_of
from service.api.params import check_images, most_images
from service.api.v1.base64_text import decoded
from service.errors import Problem
from service.http.json_body import fitted, read_json
from service.problem_types.content import (
    BAD_BASE64,
    BAD_DOCUMENT,
    BAD_FORM,
    DOCUMENT_TOO_LARGE,
    EMPTY_BODY,
    PART_HEAD_TOO_LARGE,
    TOO_MANY_PARTS,
)
from service.settings import Settings

EMPTY = "the form is empty; send a file, as curl -F image=@seven.png does"
SPARE_COMMAS = 1000  # of JSON; a request with a few images too many gets an error that counts them
# A part's own headers: three in practice, Content-Disposition with a file's name the longest.
PART_HEADERS, PART_HEADER_BYTES = 8, 4096


# Fields besides images that a form may have, by name: None until one is sent.
Texts = dict[str, str | None]
NO_TEXTS: Texts = {}


class ImageFile(NamedTuple):
    """One image file of a request."""

    name: str  # in errors
    body: bytes


class ImagesRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    image: str | None = Field(None, description="an image file in base64, or as a data URL")
    images: list[str] | None = Field(None, min_length=1, description="several of them")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.image is None) == (self.images is None):
            raise ValueError('send either {"image": "<base64>"} or {"images": ["<base64>", ...]}')
        return self


class Form(Protocol):
    """Reads the images of a body with that Content-Type, and the `texts` that it may have."""

    def __call__(
        self, body: bytes, content_type: bytes, settings: Settings, texts: Texts = ..., /
    ) -> list[ImageFile]: ...


def from_json(
    body: bytes, content_type: bytes, settings: Settings, texts: Texts = NO_TEXTS
) -> list[ImageFile]:
    """The images of a JSON document; raises Problem."""
    _check_commas(body, settings)
    document = read_json(body, settings.max_json_depth)
    if texts and isinstance(document, dict):
        for name in texts.keys() & document.keys():
            _set_text(texts, name, document.pop(name))
    if isinstance(document, dict) and isinstance(document.get("images"), list):
        check_images(len(document["images"]), settings)
    request = fitted(ImagesRequest, document, "the document")
    if request.image is not None:
        return [ImageFile("image", _bytes_of(request.image, "image"))]
    names = [f"images[{place}]" for place in range(len(request.images or []))]
    return [
        ImageFile(name, _bytes_of(text, name))
        for name, text in zip(names, request.images or [], strict=True)
    ]


def from_multipart(
    body: bytes, content_type: bytes, settings: Settings, texts: Texts = NO_TEXTS
) -> list[ImageFile]:
    """The images of a form; raises Problem."""
    _, options = parse_options_header(content_type.decode("latin-1"))
    try:
        sent = _files(body, options.get("boundary", ""), settings, texts)
    except ParserLimitReached as error:
        raise Problem(
            PART_HEAD_TOO_LARGE, f"a part of the form is beyond bounds: {error}"
        ) from error
    except (MultipartError, ValueError) as error:
        raise Problem(BAD_FORM, f"the body is no whole multipart/form-data: {error}") from error
    if not sent:
        raise Problem(BAD_FORM, EMPTY)
    return sent


def is_text(content: bytes) -> bool:
    """Whether it may be base64 or a form, whereas every image file has zero bytes."""
    return b"\0" not in content and content.isascii()


def image_of_field(name: str, content: bytes) -> ImageFile:
    """Of a form's field that is not sent as a file: the bytes of one, or base64 of them."""
    field = f"the field {name[:64]!r}"
    if not is_text(content):
        return ImageFile(name[:64], content)
    if not content.strip():
        raise Problem(
            EMPTY_BODY, f"{field} is empty; send a file, as curl -F image=@seven.png does"
        )
    try:
        body = decoded(content)
        reason = name_of(body) or "what it stands for is no image"
    except ValueError as error:
        body, reason = b"", str(error)
    if not body.startswith(SIGNATURES):
        raise Problem(
            BAD_BASE64,
            f"{field} is neither an image file nor base64 or a data URL of one: {reason}; send a "
            "file, as curl -F image=@seven.png does, and options in the URL: /v1/predict?top_k=3",
        )
    return ImageFile(name[:64], body)


def _check_commas(body: bytes, settings: Settings) -> None:
    """Raises Problem 413 if there are more than images need: one between two, one in a data URL.

    To parse, and to free, a million lists or names holds the interpreter for seconds.
    """
    most = most_images(settings)
    if body.count(b",") > SPARE_COMMAS + 2 * most:
        raise Problem(
            DOCUMENT_TOO_LARGE,
            f"the document has far more in it than {most} images (DIGITSERVE_MAX_PICTURES, and "
            "at most DIGITSERVE_MAX_QUEUE)",
        )


def _bytes_of(text: str, name: str) -> bytes:
    try:
        body = decoded(text.encode())
    except ValueError as error:
        raise Problem(
            BAD_BASE64, f"{name} is neither base64 nor a data URL of it: {error}"
        ) from error
    if not body:
        raise Problem(EMPTY_BODY, f"{name} is empty; send an image file in base64")
    return body


def _files(body: bytes, boundary: str, settings: Settings, texts: Texts) -> list[ImageFile]:
    """Raises what `multipart` does."""
    if not boundary:
        raise Problem(
            BAD_FORM,
            "the Content-Type multipart/form-data names no boundary; let your HTTP client set it",
        )
    sent: list[ImageFile] = []
    with PushMultipartParser(
        boundary,
        max_header_count=PART_HEADERS,
        max_header_size=PART_HEADER_BYTES,
        strict=True,
    ) as parser:
        parts, name, field, is_file, chunks = 0, "", "", False, list[bytes]()
        for event in parser.parse(body):
            if isinstance(event, MultipartSegment):
                parts += 1
                if parts > settings.max_parts:
                    raise Problem(
                        TOO_MANY_PARTS,
                        f"more than {settings.max_parts} parts (DIGITSERVE_MAX_PARTS)",
                    )
                name, is_file, chunks = _name_of(event), event.filename is not None, []
                field = event.name or ""
            elif event is not None:
                chunks.append(event)
            else:
                content = b"".join(chunks)
                if field in texts and not is_file:
                    _set_text(texts, field, content.decode())
                    continue
                sent.append(ImageFile(name, content) if is_file else image_of_field(name, content))
                check_images(len(sent), settings)
    return sent


def _name_of(part: MultipartSegment) -> str:
    field, file = part.name or "", part.filename or ""
    # It is only used in messages; such a name is an attack or a mistake.
    if ".." in re.split(r"[/\\]", file) or not file.isprintable():
        raise Problem(BAD_FORM, f"the file name {file[:64]!r} is no plain name")
    return file[:64] or field[:64]


def _set_text(texts: Texts, name: str, value: object) -> None:
    """Problem 400 unless it is a text that was not sent before."""
    if not isinstance(value, str):
        raise Problem(BAD_DOCUMENT, f"{name}: it must be a text in quotes")
    if texts[name] is not None:
        raise Problem(BAD_FORM, f"{name} came twice; send it once, in the URL or in the body")
    texts[name] = value


def from_urlencoded(
    body: bytes, content_type: bytes, settings: Settings, texts: Texts = NO_TEXTS
) -> list[ImageFile]:
    """The images of a form; raises Problem or NotAnImage."""
    if body.lstrip()[:1] == b"{":
        return from_json(body, content_type, settings, texts)
    named = name_of(body)
    if named is not None:
        raise NotAnImage(named)
    fields = body.translate(None, b"\r\n").split(b"&", settings.max_parts)
    if len(fields) > settings.max_parts:
        raise Problem(
            TOO_MANY_PARTS,
            f"the form has more than {settings.max_parts} fields (DIGITSERVE_MAX_PARTS)",
        )
    sent: list[ImageFile] = []
    for field in filter(None, fields):
        name, equals, value = field.partition(b"=")
        if not equals:
            raise Problem(
                BAD_FORM,
                "the body is neither an image file nor a form; send the file as it is, as curl "
                "--data-binary @seven.png does, or image=<base64>",
            )
        field_name = _unquoted(name).decode(errors="replace")
        if field_name in texts:
            text = _unquoted(value.replace(b"+", b"%20")).decode(errors="replace")
            _set_text(texts, field_name, text)
            continue
        sent.append(image_of_field(field_name, _content_of(value)))
        check_images(len(sent), settings)
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
