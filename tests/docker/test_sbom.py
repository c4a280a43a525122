"""The SBOM of the service is correct."""

import json

from tests.docker.engine import python
from tests.docker.stack import Stack

INSTALLED = (
    "from importlib.metadata import distributions as d; import json;"
    "print(json.dumps({p.name.lower().replace('_', '-'): p.version for p in d()}))"
)


def test_the_sbom_lists_every_package_of_the_service_with_its_version(stack: Stack) -> None:
    document = json.loads(stack.compose("run", "--rm", "--no-TTY", "sbom"))
    assert document["bomFormat"] == "CycloneDX"
    reported = {
        part["name"].lower().replace("_", "-"): part["version"] for part in document["components"]
    }
    assert reported == json.loads(python("digitserve-service", INSTALLED))
    assert "fastapi" in reported
