"""A real Prometheus that scrapes real services, with the files of deploy/ and short intervals."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

import yaml

from tests.interop.balancer import Balancer
from tests.monitoring.binaries import PROMETHEUS
from tests.monitoring.rules import FOLDER
from tests.support.program import Program
from tests.support.running import Service

RUNBOOK = "https://example.com/runbook"
# All intervals of seconds or minutes in deploy/ are one second here.
HURRY = re.compile(r"(scrape_interval|scrape_timeout|evaluation_interval|interval): \w+")


class Prometheus(Program):
    def __init__(
        self,
        service: Service,
        folder: Path,
        *others: Service,
        balancer: Balancer | None = None,
        alertmanager: str | None = None,
    ) -> None:
        """`alertmanager`: host:port; alerts then fire at once, without their `for`."""
        addresses = [urlsplit(each.url).netloc for each in (service, *others)]
        for name in ("prometheus.yml", "recording.yml", "alerts.yml"):
            text = HURRY.sub(r"\1: 1s", (FOLDER / name).read_text())
            if alertmanager is not None:
                text = re.sub(r"\bfor: \w+", "for: 0s", text)
            (folder / name).write_text(text)
        balancers = [] if balancer is None else [f"127.0.0.1:{balancer.exporter}"]
        _set_targets(
            folder / "prometheus.yml", alertmanager, digitserve=addresses, balancer=balancers
        )
        super().__init__(
            [
                str(PROMETHEUS),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--web.listen-address=127.0.0.1:0",
                "--enable-feature=exemplar-storage,expand-external-labels",
            ],
            environment=os.environ | {"RUNBOOK_URL": RUNBOOK},
        )

    @classmethod
    @contextmanager
    def started(
        cls,
        service: Service,
        folder: Path,
        *others: Service,
        balancer: Balancer | None = None,
        alertmanager: str | None = None,
    ) -> Iterator[Self]:
        """A ready Prometheus; it is stopped with the block."""
        prometheus = cls(service, folder, *others, balancer=balancer, alertmanager=alertmanager)
        with prometheus.while_ready():
            yield prometheus

    def query(self, query: str) -> dict[str, float]:
        """Labels, as written by Prometheus -> value, of all series in the result."""
        with urlopen(f"{self.url}/api/v1/query?{urlencode({'query': query})}") as response:
            found: Any = json.load(response)["data"]["result"]
        return {json.dumps(each["metric"]): float(each["value"][1]) for each in found}

    def exemplars(self, query: str) -> list[dict[str, str]]:
        """The labels of each exemplar stored for these series."""
        parameters = urlencode({"query": query, "start": 0, "end": 2**32})
        with urlopen(f"{self.url}/api/v1/query_exemplars?{parameters}") as response:
            found: Any = json.load(response)["data"]
        return [each["labels"] for series in found for each in series["exemplars"]]

    def hear(self, line: str) -> bool:
        if listens := re.search(r'"Listening on".* address=(\S+)', line):
            self.url = f"http://{listens.group(1)}"
        return "Server is ready" in line


def _set_targets(configuration: Path, alertmanager: str | None, **targets: list[str]) -> None:
    """Addresses for each job and of the Alertmanager, in place of those to be discovered."""
    content: Any = yaml.safe_load(configuration.read_text())
    if alertmanager is not None:
        content["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    for job in content["scrape_configs"]:
        if job["job_name"] in targets:
            job.pop("dns_sd_configs", None)
            job.pop("file_sd_configs", None)
            job["static_configs"] = [{"targets": targets[job["job_name"]]}]
    configuration.write_text(yaml.safe_dump(content))
