"""Draw what the dashboards show for services with failures, for docs/how-to/dashboards.md.

    python -m tools.dashboard_pictures [--seconds 180] [--folder docs/images/dashboards]

Publishes the current version three times with three temperatures, which gives three levels of
confidence, and sends requests of all kinds to two services (see `visitors`, `watched`).
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from contract.command_line import program
from contract.store import Store
from loadtest.client.requests import SampleImages
from tests.monitoring.dashboards import NAMES
from tests.monitoring.watched import watched
from tools.dashboard_pictures.drawing import draw
from tools.swap import versions_of


def main() -> int:
    parser = program("tools.dashboard_pictures", __doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--folder", type=Path, default=Path("docs/images/dashboards"))
    arguments = parser.parse_args()
    version = Store(arguments.models, "digits").open()
    pictures = list(SampleImages.of_current(arguments.models, "digits").files)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        store = versions_of(version, Path(folder))
        (aside := Path(folder) / "prometheus").mkdir()
        with watched(store, pictures, aside, arguments.seconds) as seen:
            for name in NAMES:
                path = arguments.folder / f"{name}.png"
                draw(name, seen, path)
                print(path, f"{path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
