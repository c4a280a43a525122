"""Check all pinned packages for known vulnerabilities: python -m tools.audit

Runs pip-audit on constraints.txt. pip-audit passes packages that its service does not know, so an
audit behind a mirror without data would pass; this program reports packages that could not be
checked, and fails. Exit codes: 0 no known vulnerability, 1 some, 2 not everything could be checked.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from contract.command_line import program

ROOT = Path(__file__).parent.parent
OPTIONS = ("--no-deps", "--disable-pip", "--progress-spinner=off", "--format=json", "--desc=off")


def main(words: list[str] | None = None) -> int:
    parser = program("tools.audit", __doc__)
    parser.add_argument("--pip-audit", default=".supply/bin/pip-audit", metavar="PROGRAM")
    parser.add_argument("--pins", type=Path, default=ROOT / "constraints.txt", metavar="FILE")
    arguments = parser.parse_args(words)
    command = [arguments.pip_audit, "--requirement", str(arguments.pins), *OPTIONS]
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        print(f"audit: nothing was audited; pip-audit says: {lines[-1][:300]}", file=sys.stderr)
        return 2
    return _judge(packages)


def _judge(packages: list[dict[str, Any]]) -> int:
    found = [(package, flaw) for package in packages for flaw in package.get("vulns", [])]
    for package, flaw in found:
        fixed = ", ".join(flaw["fix_versions"]) or "no version yet"
        print(f"{package['name']} {package['version']}: {flaw['id']}, fixed in {fixed}")
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if skipped:
        print(
            f"audit: {len(skipped)} of {len(packages)} packages could not be looked up "
            f"({', '.join(skipped[:3])}, ...): pip-audit asks PyPI's own vulnerability service, "
            "which a mirror or a machine without a network does not reach. Run it where it does.",
            file=sys.stderr,
        )
    if found:
        return 1
    if skipped or not packages:
        return 2
    print(f"{len(packages)} packages, no known vulnerability")
    return 0


if __name__ == "__main__":
    sys.exit(main())
