"""Metrics of a running service, as Prometheus reads them."""

import re

from tests.support.running import Service, status


def metric(service: Service, name: str) -> float:
    """The value with exactly these labels, or 0 if there is none."""
    found = re.findall(
        rf"^(?:digitserve_)?{re.escape(name)} (\S+)$", exposition(service), re.MULTILINE
    )
    return float(found[0]) if found else 0.0


def counted(service: Service, name: str) -> float:
    """The sum of a metric over the labels that `name` leaves open."""
    return sum(
        float(line.rsplit(" ", 1)[1])
        for line in exposition(service).splitlines()
        if line.startswith(f"digitserve_{name}")
    )


def settle(service: Service) -> None:
    """Make every worker publish its counts, as it does for a scrape, or some time later."""
    left = {row["worker"] for row in status(service)["workers"] if row["version"]}
    while left:
        with service.client() as client:  # whose connection one worker accepts
            client.get("/metrics")
            left.discard(client.get("/v1/status").json()["worker"])


def exposition(service: Service) -> str:
    """The text of a scrape over a separate connection, so that any worker may answer."""
    with service.client() as client:
        return client.get("/metrics").text
