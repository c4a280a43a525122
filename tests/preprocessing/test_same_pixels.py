"""Training and the service preprocess an image identically, to the last pixel."""

import base64
import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loadtest.drawings.__main__ import Posted, drawings
from loadtest.drawings.pens import PAPERS
from tests.support.marks import slow
from tests.support.running import Service
from tests.support.written import written_digits
from training.data import find_test_images

AT_ONCE = 50  # images of a request


@pytest.fixture(params=[30, slow(600)], ids="{} drawings".format)
def posted(request: pytest.FixtureRequest) -> list[Posted]:
    """Digits drawn with various pens on various backgrounds, as PNG and JPEG files."""
    pixels, labels = written_digits()
    found = list(drawings((pixels, [str(label) for label in labels]), request.param, seed=0))
    assert {each.drawing.paper for each in found} == set(PAPERS)
    assert {each.kind for each in found} == {"png", "jpeg"}
    return found


def test_training_and_service_preprocess_files_identically(
    service: Service, posted: list[Posted], tmp_path: Path
) -> None:
    (tmp_path / "digits").mkdir()
    for place, each in enumerate(posted):
        (tmp_path / "digits" / f"{place:03}.{each.kind}").write_bytes(each.body)
    _, (read, _) = find_test_images(str(tmp_path), ("digits",))
    prepared = [
        pixels
        for start in range(0, len(posted), AT_ONCE)
        for pixels in prepared_by(service, posted[start : start + AT_ONCE])
    ]
    same = (read == np.stack(prepared)).all((1, 2))
    assert same.sum() == len(posted)


def prepared_by(service: Service, posted: list[Posted]) -> list[np.ndarray]:
    """The pixels that the service passes to its model."""
    images = [base64.b64encode(each.body).decode() for each in posted]
    with service.client(headers={"Content-Type": "application/json"}) as client:
        body = json.dumps({"images": images})
        answer = client.post("/v1/predict?debug=ink", content=body)
    assert answer.status_code == 200, answer.text
    files = (each["ink"].partition(",")[2] for each in answer.json()["predictions"])
    return [np.asarray(Image.open(BytesIO(base64.b64decode(file)))) for file in files]
