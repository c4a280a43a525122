"""Draw what the dashboards show of services in trouble, for docs/dashboards.md.

    python -m tests.monitoring.pictures [--seconds 180] [--folder docs/dashboards]

Exports the last run three times with three temperatures, so that the versions are sure to different
degrees, and lets all kinds of visitors come to two services on them (see `visitors`, `watched`).
"""

import sys
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.monitoring.dashboards import NAMES
from tests.monitoring.drawing import draw
from tests.monitoring.watched import watched
from tests.service.pictures import encoded
from tests.swap import PICTURES, versions_of
from training.run import Run


def main() -> int:
    parser = ArgumentParser("python -m tests.monitoring.pictures")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--folder", type=Path, default=Path("docs/dashboards"))
    arguments = parser.parse_args()
    run = Run.latest(arguments.runs)
    pictures = [encoded(pixels) for pixels in run.test_set()[0][:PICTURES]]
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        store = versions_of(run, Path(folder))
        (aside := Path(folder) / "prometheus").mkdir()
        with watched(store, pictures, aside, arguments.seconds) as seen:
            for name in NAMES:
                path = arguments.folder / f"{name}.png"
                draw(name, seen, path)
                print(path, f"{path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
