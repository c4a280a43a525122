"""Locust's history of a load test with round numbers: a row per second, as in its CSV file."""

from loadtest.ramp.result import Row

SECONDS = 10  # seconds of a step


def second(at: int, users: int, requests: int, *, failed: int = 0, p99: float = 9) -> Row:
    return {
        "Timestamp": str(at),
        "User Count": str(users),
        "Name": "Aggregated",
        "50%": "2",
        "95%": "5",
        "99%": f"{p99:g}",
        "Total Request Count": str(requests),
        "Total Failure Count": str(failed),
    }


def history(*steps: tuple[int, int, float], failing: int = 0) -> list[Row]:
    """Steps of (users, requests per second, p99 in ms); `failing` requests fail each second."""
    rows: list[Row] = []
    requests = failed = 0
    for users, rate, p99 in steps:
        for _ in range(SECONDS):
            rows.append(second(len(rows), users, requests, failed=failed, p99=p99))
            requests += rate
            failed += failing
    return rows
