"""Write the dashboards that are described here: python -m deploy.grafana"""

import json
from pathlib import Path

from deploy.grafana.answers import ANSWERS, CONFIDENCE
from deploy.grafana.batching import BATCHING
from deploy.grafana.dashboard import Dashboard
from deploy.grafana.gpu import GPU
from deploy.grafana.latency import LATENCY
from deploy.grafana.overview import OVERVIEW
from deploy.grafana.processes import PROCESSES
from deploy.grafana.serving import SERVING
from deploy.grafana.traffic import REFUSED, TRAFFIC

FOLDER = Path(__file__).parent / "dashboards"
DASHBOARDS = (
    Dashboard(
        name="service",
        title="digitserve: service",
        description="Is it up, is it fast, is it full: traffic, errors, latency, queue, processes",
        rows=(OVERVIEW, TRAFFIC, REFUSED, LATENCY, BATCHING, PROCESSES, GPU),
        other="model",
    ),
    Dashboard(
        name="model",
        title="digitserve: model",
        description="What serves, what it answers and how sure it is",
        rows=(SERVING, ANSWERS, CONFIDENCE),
        other="service",
    ),
)


def text_of(dashboard: Dashboard) -> str:
    return json.dumps(dashboard.json(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    for dashboard in DASHBOARDS:
        path = FOLDER / f"{dashboard.name}.json"
        path.write_text(text_of(dashboard))
        print(path)


if __name__ == "__main__":
    main()
