"""What a reader has to know of the rows before believing them, in plain sentences."""

from loadtest.summary import Row

BUSY = 0.9  # share of its core from which on the client may be what was measured


def remarks(rows: list[Row]) -> list[str]:
    return [*_busy_clients(rows), *_failing(rows), *_misreaders(rows)]


def _busy_clients(rows: list[Row]) -> list[str]:
    return [
        f"The client was the bottleneck: {row.target}, {row.posted}, {_connections(row)}: it took "
        f"{row.client.median:.0%} of its own core, so the server may do more than was measured."
        for row in rows
        if row.client.median > BUSY
    ]


def _failing(rows: list[Row]) -> list[str]:
    """A refusal is an answer too, and a quick one."""
    return [
        f"Not everything was answered with 200: {row.target}, {row.posted}, {_connections(row)}: "
        f"{row.refused:,} refused, {row.broken:,} broken; refusals count in its req/s too."
        for row in rows
        if row.refused or row.broken
    ]


def _misreaders(rows: list[Row]) -> list[str]:
    """Who does worse than the service does not do the same work."""
    right = {row.target: row.right for row in rows if row.right is not None}
    pictures = {row.target: row.pictures for row in rows}
    ours = right.get("service")
    return [
        f"Not the same work: {target} reads {theirs} of {pictures[target]} pictures right, the "
        f"service {ours}."
        for target, theirs in right.items()
        if ours is not None and theirs < ours
    ]


def _connections(row: Row) -> str:
    return "1 connection" if row.connections == 1 else f"{row.connections} connections"
