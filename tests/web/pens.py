"""Input devices for drawing: a mouse, a finger, and a pen with pressure.

Each draws strokes in units of the drawing area (see `shapes`) in a box of the page, with the events
that the browser generates for real hardware.
"""

from abc import ABC, abstractmethod
from typing import Any

from playwright.sync_api import FloatRect, Page

from tests.web.shapes import Point, Stroke


class Pen(ABC):
    """Pressed at the first point of a stroke, released at its last."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def draw(self, strokes: list[Stroke], box: FloatRect) -> None:
        for stroke in strokes:
            first, *others = (_within(box, point) for point in stroke)
            self.press(first)
            for point in others:
                self.move(point)
            self.lift(others[-1] if others else first)

    @abstractmethod
    def press(self, at: Point) -> None: ...

    @abstractmethod
    def move(self, to: Point) -> None: ...

    @abstractmethod
    def lift(self, at: Point) -> None: ...


class Mouse(Pen):
    def press(self, at: Point) -> None:
        self.page.mouse.move(*at)
        self.page.mouse.down()

    def move(self, to: Point) -> None:
        self.page.mouse.move(*to)

    def lift(self, at: Point) -> None:
        self.page.mouse.up()


class Finger(Pen):
    """For a context with `has_touch`."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self._browser = page.context.new_cdp_session(page)

    def press(self, at: Point) -> None:
        self._touch("touchStart", at)

    def move(self, to: Point) -> None:
        self._touch("touchMove", to)

    def lift(self, at: Point) -> None:
        self._touch("touchEnd")

    def _touch(self, kind: str, *points: Point) -> None:
        touching = [{"x": x, "y": y} for x, y in points]
        self._browser.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touching})


class Stylus(Pen):
    def __init__(self, page: Page, pressure: float) -> None:
        """`pressure` is a fraction of the maximum."""
        super().__init__(page)
        self._browser = page.context.new_cdp_session(page)
        self._down = {"button": "left", "buttons": 1, "clickCount": 1, "force": pressure}

    def press(self, at: Point) -> None:
        self._send("mousePressed", at, self._down)

    def move(self, to: Point) -> None:
        self._send("mouseMoved", to, self._down)

    def lift(self, at: Point) -> None:
        self._send("mouseReleased", at, self._down | {"buttons": 0, "force": 0.0})

    def _send(self, kind: str, at: Point, more: dict[str, Any]) -> None:
        event = {"type": kind, "x": at[0], "y": at[1], "pointerType": "pen", **more}
        self._browser.send("Input.dispatchMouseEvent", event)


def _within(box: FloatRect, point: Point) -> Point:
    return box["x"] + box["width"] * point[0], box["y"] + box["height"] * point[1]
