"""Predictions of the service while a user draws, as received by the browser."""

import re
from typing import Any

from playwright.sync_api import Page, Response

Prediction = dict[str, Any]


class Readings:
    """The predictions for a page from now on; the latest may change at any time."""

    def __init__(self, page: Page) -> None:
        self._answers: list[Response] = []
        page.on("response", self._take)

    def _take(self, response: Response) -> None:
        if "/v1/predict" in response.url:
            self._answers.append(response)

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def prediction(self) -> Prediction:
        prediction: Prediction = self._answers[-1].json()["predictions"][0]
        return prediction

    @property
    def batch(self) -> str:
        return self._answers[-1].headers["x-batch-size"]

    @property
    def times(self) -> dict[str, float]:
        """The milliseconds of each stage."""
        reported = re.findall(r"(\w+);dur=([\d.]+)", self._answers[-1].headers["server-timing"])
        return {stage: float(time) for stage, time in reported}
