"""Base64 as clients write it: in lines, without padding, in the alphabet of URLs, in a data URL.

A text is read if there is only one way to read it; else ValueError states what is wrong
and where.
"""

import binascii
import re
import string

# data:image/png;base64,... whose type is not believed: the first bytes say what it is.
_DATA_URL = re.compile(rb"data:[^,]{0,256};base64,", re.IGNORECASE)
_ADDRESS = re.compile(rb"https?://", re.IGNORECASE)
_DIGITS = f"{string.ascii_letters}{string.digits}+/=".encode()
_FROM_URL_ALPHABET = bytes.maketrans(b"-_", b"+/")
_LINES = (64, 76)  # characters, in PEM and MIME


def decoded(text: bytes) -> bytes:
    """The bytes that a text stands for; of a data URL, those behind its comma."""
    prefix = _DATA_URL.match(text)
    content = text[prefix.end() :] if prefix else text
    content = content.replace(b"\n", b"").replace(b"\r", b"")
    try:
        return binascii.a2b_base64(content, strict_mode=True)
    except binascii.Error:
        return binascii.a2b_base64(_canonical(content), strict_mode=True)


def _canonical(content: bytes) -> bytes:
    """The same in the usual alphabet, with padding."""
    if _ADDRESS.match(content):
        raise ValueError("it is an address, from which nothing is fetched")
    if content[:5].lower() == b"data:":
        raise ValueError("it is a data URL, but does not say ;base64,")
    if b" " in content:
        content = _with_plus_signs(content)
    if b"-" in content or b"_" in content:
        if b"+" in content or b"/" in content:
            raise ValueError("it mixes - and _ of the alphabet for URLs with + and / of the usual")
        content = content.translate(_FROM_URL_ALPHABET)
    unknown = content.translate(None, _DIGITS)
    if unknown:
        place = content.index(unknown[:1])
        character = content[place : place + 4].decode(errors="replace")[0]
        raise ValueError(f"character {place + 1:,} is {character!r}")
    digits = content.rstrip(b"=")
    if b"=" in digits:
        raise ValueError(f"it goes on behind the = that is character {digits.index(b'=') + 1:,}")
    missing, padding = -len(digits) % 4, len(content) - len(digits)
    if missing == 3:
        raise ValueError(
            f"its length, {len(digits):,}, is one more than a multiple of 4: a character is "
            "missing, or one is too many"
        )
    if padding not in (0, missing):
        raise ValueError(f"it ends in {padding} = where {missing} belong")
    return digits + b"=" * missing


def _with_plus_signs(content: bytes) -> bytes:
    """Each blank as the + of which form decoding has made it, if it can be nothing else."""
    place = content.index(b" ")
    if len(content) % 4 or content != content.strip() or _are_lines(content.split(b" ")):
        raise ValueError(
            f"character {place + 1:,} is a blank, and it is unclear whether it was a + that form "
            "decoding has changed; send base64 without blanks"
        )
    return content.replace(b" ", b"+")


def _are_lines(parts: list[bytes]) -> bool:
    """Whether parts between blanks look like lines that were joined: all alike but the last."""
    *whole, last = map(len, parts)
    alike = len({*whole}) == 1 and last <= whole[0]
    return alike and (len(whole) > 1 or whole[0] in _LINES)
