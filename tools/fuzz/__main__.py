"""Send thousands of requests that the OpenAPI document allows, and as many that it does not, and
check that every response is a documented one.

    python -m tools.fuzz [--examples 150] [--seed 1]

Starts `python -m service` on a free port with API keys, an admin token and a copy of the store,
whose versions are switched, and runs Schemathesis with all of its checks. Exits with 1 if it finds
something, or if the service has changed afterwards.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from contract.command_line import program
from contract.store import Store
from tests.support import fetch
from tests.support.running import ROOT, Service

KEY, TOKEN = "the-api-key-of-the-fuzzer", "the-admin-token-of-the-fuzzer"


def main() -> int:
    parser = program("tools.fuzz", __doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--examples", type=int, default=150, help="of each route, at most")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        models = Path(shutil.copytree(arguments.models, Path(folder) / "models"))
        return fuzz(models, arguments.examples, arguments.seed)


def fuzz(models: Path, examples: int, seed: int) -> int:
    settings = {"admin_token": TOKEN, "api_keys": KEY}
    with Service.started(models, **settings) as service:
        command = [
            str(Path(sys.executable).with_name("schemathesis")),
            "--config-file", str(ROOT / "tools/fuzz/schemathesis.toml"),
            "run", f"{service.url}/openapi.json",
            "--max-examples", str(examples),
            "--seed", str(seed),
            "--header", f"Authorization: Bearer {TOKEN}", "--header", f"X-API-Key: {KEY}",
            "--continue-on-failure", "--request-timeout", "10",
        ]  # fmt: skip
        version = str(Store(models, "digits").current())
        hooks = {"SCHEMATHESIS_HOOKS": "tools.fuzz.hooks", "FUZZED_VERSION": version}
        found = subprocess.run(command, cwd=ROOT, env=os.environ | hooks, check=False).returncode
        well = fetch.get(f"{service.url}/readyz").status_code == 200
        wrong = [line for line in service.log.splitlines() if "Traceback" in line]
    print(f"the service is {'well' if well else 'NOT READY'}, {len(wrong)} traces in its log")
    return int(found != 0 or not well or bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
