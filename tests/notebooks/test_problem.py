"""The drawing pad reports why there is no prediction, without a browser."""

from notebooks.pad import DrawingPad
from tests.interop.proxy import free_port
from tests.support.running import Service


def test_a_service_that_does_not_answer_is_reported() -> None:
    pad = DrawingPad(f"http://127.0.0.1:{free_port()}")
    pad.drawing = "data:image/png;base64,AAAA"
    assert pad.problem.startswith("The service does not answer: ")


def test_a_refused_drawing_is_reported_with_the_service_s_reason(service: Service) -> None:
    pad = DrawingPad(service.url)
    pad.drawing = "data:image/png;base64,AAAA"
    assert "no PNG" in pad.problem
    pad.drawing = ""
    assert pad.problem == ""
