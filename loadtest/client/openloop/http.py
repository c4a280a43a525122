"""Just enough of HTTP/1.1 to know where an answer ends and whether another may follow it."""

LENGTH = b"\r\ncontent-length:"
CLOSE = b"\r\nconnection: close"
END = b"\r\n\r\n"


class NotHttp(Exception):
    """Not an answer whose end could be known."""


def size(data: bytes) -> int:
    """Bytes of head and body together; 0 while the head is not all there."""
    end = data.find(END)
    if end < 0:
        return 0
    at = data.find(LENGTH, 0, end)
    head = data
    if at < 0:  # most servers write small letters: the others are recognized only here
        head = data[: end + 2].lower()
        at = head.find(LENGTH)
    if at < 0:
        raise NotHttp("an answer without Content-Length")
    at += len(LENGTH)
    try:
        return end + len(END) + int(head[at : head.find(b"\r", at)])
    except ValueError:
        raise NotHttp("a Content-Length that is no number") from None


def status(data: bytes) -> int:
    try:
        return int(data[9:12])
    except ValueError:
        raise NotHttp("a status that is no number") from None


def closes(data: bytes) -> bool:
    """Whether the server hangs up after this answer."""
    return CLOSE in data[: data.find(END)].lower()
