"""Write the dashboards that are described here: python -m deploy.grafana"""

from pathlib import Path

from deploy.grafana.dashboard import text_of
from deploy.grafana.latency import BATCHING, LATENCY
from deploy.grafana.model import ANSWERS, CONFIDENCE, SERVING
from deploy.grafana.overview import OVERVIEW
from deploy.grafana.resources import GPU, PROCESSES
from deploy.grafana.traffic import REFUSED, TRAFFIC

FOLDER = Path(__file__).parent / "dashboards"
DASHBOARDS = {
    "service": text_of(
        "service",
        "digitserve: service",
        "Is it up, fast, full? Traffic, errors, latency, queue, processes",
        (OVERVIEW, TRAFFIC, REFUSED, LATENCY, BATCHING, PROCESSES, GPU),
        other="model",
    ),
    "model": text_of(
        "model",
        "digitserve: model",
        "Which version serves, what it predicts and with which confidence",
        (SERVING, ANSWERS, CONFIDENCE),
        other="service",
    ),
}


def main() -> None:
    for name, text in DASHBOARDS.items():
        path = FOLDER / f"{name}.json"
        path.write_text(text)
        print(path)


if __name__ == "__main__":
    main()
