"""Training and the service preprocess an image identically, to the last pixel."""

import base64
import json
import os
import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contract.card import (
    LetterboxPreparation,
    PhotoPreparation,
    Preparation,
    StretchPreparation,
)
from contract.version import Version
from loadtest.drawings.__main__ import Posted, drawings
from loadtest.drawings.pens import PAPERS
from preprocessing.preparation import preparer_of
from tests.preprocessing.scenes import scenes
from tests.support.classifiers import publish_and_activate
from tests.support.marks import slow
from tests.support.running import Service
from tests.support.written import written_digits
from training.data import find_test_images
from training.reading import read_images

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
    _, (read, _) = find_test_images(str(tmp_path), ("digits",), foreign=True)
    prepared = [
        pixels
        for start in range(0, len(posted), AT_ONCE)
        for pixels in prepared_by(service, posted[start : start + AT_ONCE])
    ]
    same = (read == np.stack(prepared)).all((1, 2))
    assert same.sum() == len(posted)


PREPARATIONS = [
    PhotoPreparation(resize=72, size=(64, 56)),
    LetterboxPreparation(size=(48, 64), fill=114, interpolation="bicubic"),
    StretchPreparation(size=(32, 32)),
]


@pytest.fixture(params=[52, slow(500)], ids="{} scenes".format)
def files(request: pytest.FixtureRequest, tmp_path: Path) -> list[Path]:
    """Scenes of all formats, sizes, colour modes and orientations; photographs, if there are."""
    bodies = [each.body for each in scenes(request.param)] + photographs(request.param)
    paths = [tmp_path / f"{place:04}" for place in range(len(bodies))]
    for path, body in zip(paths, bodies, strict=True):
        path.write_bytes(body)
    return paths


def photographs(count: int) -> list[bytes]:
    """Those in the tar file that PHOTOGRAPHS names, evenly chosen."""
    if "PHOTOGRAPHS" not in os.environ:
        return []
    with tarfile.open(os.environ["PHOTOGRAPHS"]) as archive:
        members = [each for each in archive if each.name.lower().endswith(".jpg")]
        chosen = members[:: max(1, len(members) // count)][:count]
        return [file.read() for each in chosen if (file := archive.extractfile(each))]


@pytest.mark.parametrize("preparation", PREPARATIONS, ids=lambda each: each.kind)
@pytest.mark.parametrize("colour", [True, False], ids=["colour", "gray"])
def test_training_and_service_prepare_any_image_identically(
    version: Version, files: list[Path], preparation: Preparation, colour: bool, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    publish_and_activate(models, version, "any", preparation=preparation, colour=colour)
    shape = (*preparation.size, 3) if colour else preparation.size
    trained = read_images(tmp_path, files, preparer_of(preparation, shape), tmp_path / "cache")
    bodies = [path.read_bytes() for path in files]
    with Service.started(models, model="any") as service:
        served = [
            pixels
            for start in range(0, len(bodies), AT_ONCE)
            for pixels in seen_by(service, bodies[start : start + AT_ONCE], "pixels")
        ]
    assert trained.usable.all()
    same = (trained.pixels == np.stack(served)).reshape(len(files), -1).all(1)
    assert same.sum() == len(files)


def prepared_by(service: Service, posted: list[Posted]) -> list[np.ndarray]:
    return seen_by(service, [each.body for each in posted], "ink")


def seen_by(service: Service, bodies: list[bytes], debug: str) -> list[np.ndarray]:
    """The pixels that the service passes to its model."""
    images = [base64.b64encode(body).decode() for body in bodies]
    with service.client(headers={"Content-Type": "application/json"}) as client:
        body = json.dumps({"images": images})
        answer = client.post(f"/v1/predict?debug={debug}", content=body)
    assert answer.status_code == 200, answer.text
    files = (each[debug].partition(",")[2] for each in answer.json()["predictions"])
    return [np.asarray(Image.open(BytesIO(base64.b64decode(file)))) for file in files]
