"""Tables as text for a terminal, and in Markdown."""

Line = tuple[str, ...]  # the cells of a row; the first row of a table is its head


def as_text(lines: list[Line]) -> str:
    """Columns as wide as they must be: the first is aligned left, the others right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def as_markdown(lines: list[Line]) -> str:
    head, *rest = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([head, "|---" * len(lines[0]) + "|", *rest])
