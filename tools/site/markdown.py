"""Markdown from plain text: in the texts, `backticks` enclose what is code."""

import re
from collections.abc import Iterable, Sequence
from html import escape


def prose(text: str) -> str:
    """Text in which only backticks have a meaning: everything outside of them is escaped."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(part if part.startswith("`") else _plain(part) for part in parts)


def _plain(text: str) -> str:
    return re.sub(r"([*_\[\]|\\])", r"\\\1", escape(text, quote=False))


def sentence(text: str) -> str:
    """`prose` that begins with a capital letter and ends with a full stop."""
    text = text.strip()
    first = text if text.startswith("`") else text[:1].upper() + text[1:]
    return prose(first if first.endswith((".", ":", "`")) else f"{first}.")


def code(text: object) -> str:
    """Inline code, also within a cell of a table; nothing for an empty text."""
    return f"<code>{escape(str(text)).replace('|', '&#124;')}</code>" if str(text) else ""


def anchored(anchor: str, content: str) -> str:
    """Content that links can lead to: settings.md#max_queue."""
    return f'<a id="{anchor}"></a>{content}'


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def page(title: str, *parts: str, contents: bool = True) -> str:
    """A page; without its table of contents, it has more room for tables."""
    head = [] if contents else ["---\nhide: [toc]\n---"]
    return "\n\n".join([*head, f"# {title}", *filter(None, parts)]) + "\n"
