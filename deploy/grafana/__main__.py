"""Write Grafana's dashboards: python -m deploy.grafana"""

from pathlib import Path

from deploy.grafana import model, service
from deploy.grafana.dashboard import text_of

FOLDER = Path(__file__).parent / "dashboards"
DASHBOARDS = {
    "service": text_of(
        "service",
        "digitserve: service",
        "Is it up, fast, full? Traffic, errors, latency, queue, processes",
        service.ROWS,
        other="model",
    ),
    "model": text_of(
        "model",
        "digitserve: model",
        "Which version serves, what it predicts and with which confidence",
        model.ROWS,
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
