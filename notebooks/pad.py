"""A drawing pad for notebooks: a running service classifies the drawing while it is drawn.

    pad.js ──► drawing, a PNG, as one draws ──► DrawingPad ──► POST /v1/predict
           ◄── prediction, or the problem  ◄──            ◄──

Only the kernel connects to the service, so the pad needs nothing of the program that shows it but
support for widgets, as JupyterLab (in which it is tested), Jupyter Notebook and VS Code have.
"""

from pathlib import Path
from typing import Any

import anywidget
import httpx
import traitlets

HERE = Path(__file__).parent
PATIENCE = 5.0  # seconds


class DrawingPad(anywidget.AnyWidget):
    """A white canvas of 280x280 pixels with a black pen, and the likeliest classes beside it.

    `drawing` is the drawing as a data URL of a PNG, or empty. `prediction` is the service's for it,
    with the classes in `top_k`; `problem` is the reason if there is none.
    """

    _esm = HERE / "pad.js"
    _css = HERE / "pad.css"
    drawing = traitlets.Unicode().tag(sync=True)
    prediction = traitlets.Dict().tag(sync=True)
    problem = traitlets.Unicode().tag(sync=True)

    def __init__(self, url: str) -> None:
        """`url` is that of the service, such as http://127.0.0.1:8000."""
        self._client = httpx.Client(base_url=url, timeout=PATIENCE)
        super().__init__()
        self.observe(self._classify, "drawing")

    def _classify(self, change: Any) -> None:
        self.prediction, self.problem = {}, ""
        if not change.new:
            return
        try:
            response = self._client.post("/v1/predict?top_k=3", json={"image": change.new})
            document = response.json()
        except (httpx.HTTPError, ValueError) as error:
            self.problem = f"The service does not answer: {error}"
            return
        if response.is_success:
            self.prediction = document["predictions"][0]
        else:
            self.problem = document["detail"]
