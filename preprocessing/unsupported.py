"""Recognises unsupported files by their first bytes, and suggests what to do with them."""

import re

HEAD = 1024  # bytes that are examined
UNKNOWN = "the file is no PNG, JPEG, WebP, BMP, GIF or TIFF"
DAMAGED = (
    "the image is damaged: zero bytes or line ends were lost or changed on the way; send the "
    "file as it is, with curl --data-binary rather than --data or -d"
)
_HEIC = (
    "the file is HEIC, as iPhones save photos: convert it to JPEG or PNG, or set the camera to "
    "Most Compatible (Settings, Camera, Formats)"
)
_AVIF = "the file is AVIF: convert it to PNG, JPEG or WebP"
# The first match counts. Every pattern must match in linear time.
_KNOWN = [
    (re.compile(b"(?s)" + pattern), words)
    for pattern, words in (
        (rb"\x89PNG|II\*|MM\*", DAMAGED),
        (rb".{4}ftyp(?:hei|hev)", _HEIC),
        (rb".{4}ftyp(?:avi[fs]|m[is][af][1f].{0,64}avi[fs])", _AVIF),
        (rb".{4}ftyp(?:mif1|msf1|miaf)", _HEIC),
        (rb".{4}ftyp", "the file is a video (MP4 or QuickTime): send one frame as PNG or JPEG"),
        (rb"%PDF-", "the file is a PDF: export its page as PNG"),
        (
            rb"(?i)(?:\xef\xbb\xbf)?\s*<(?:svg\b|!doctype svg|(?:\?xml|!--).*<svg\b)",
            "the file is SVG, which has no pixels: export it as PNG",
        ),
        (
            rb"(?i)(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html\b)",
            "the file is an HTML page: download the image itself, not the page that shows it",
        ),
        (rb"\0\0[\1\2]\0", "the file is an icon (ICO): export it as PNG"),
        (rb"\xff\x0a|\0\0\0\x0cJXL ", "the file is JPEG XL: convert it to JPEG or PNG"),
        (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "the file is JPEG 2000: convert it to JPEG or PNG"),
        (rb"8BPS", "the file is a Photoshop document: export it as PNG"),
        (rb"\x93NUMPY", "the file is a NumPy array: save it as PNG"),
        (rb"\x1f\x8b", "the file is compressed with gzip: send the image inside"),
        (rb"PK\x03\x04", "the file is a ZIP archive: send the image inside"),
        (
            rb"data:|iVBORw0KGgo|/9j/|R0lGOD|UklGR",
            'the file is text, an image in base64: send {"image": "<that text>"} as '
            "application/json, or the bytes that it stands for",
        ),
        (
            rb"(?:\xef\xbb\xbf)?\s*\{",
            "the file is JSON: send it with the Content-Type application/json",
        ),
        (
            rb"(?i)--[^\r\n]+\r\ncontent-disposition:",
            "the body is a multipart form: let your HTTP client set its Content-Type, which is "
            "multipart/form-data and names the boundary",
        ),
    )
]


def has_lost_bytes(body: bytes) -> bool:
    """Whether a file has none of the bytes that curl --data removes.

    Every image file of the supported formats has zero bytes in its header.
    """
    return not any(byte in body for byte in b"\0\r\n")


def name_of(body: bytes) -> str | None:
    """A sentence about the kind of file and what to do; None if it is unknown."""
    if not body:
        return "the file is empty"
    head = body[:HEAD]
    return next((words for pattern, words in _KNOWN if pattern.match(head)), None)
