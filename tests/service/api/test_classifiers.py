"""Models of other things than digits: shape, preparation and labels come from the model card."""

import io
import json
import re
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from contract.card import LetterboxPreparation, PhotoPreparation
from contract.version import Version
from preprocessing.preparation import preparer_of
from tests.support import fetch
from tests.support.classifiers import COLOURS, SMALL, publish_and_activate
from tests.support.metrics import exposition
from tests.support.pictures import SEVEN, encoded
from tests.support.problems import problem
from tests.support.running import Service
from tests.support.tensors import HEADER

MANY = tuple(f"kind {number}" for number in range(150))
PHOTO = PhotoPreparation(resize=256, size=(224, 224))
SCENE = Image.merge("RGB", [Image.effect_noise((640, 480), 20 * at) for at in (1, 2, 4)])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, version: Version) -> Path:
    models = tmp_path_factory.mktemp("classifiers")
    publish_and_activate(models, version, "colours")
    tall = PhotoPreparation(resize=40, size=(32, 24))
    publish_and_activate(models, version, "sampled", samples=True, preparation=tall)
    publish_and_activate(models, version, "kinds", labels=MANY, preparation=PHOTO)
    gray = LetterboxPreparation(size=(20, 40))
    publish_and_activate(models, version, "gray", preparation=gray, colour=False)
    return models


@pytest.fixture(scope="module")
def colours(models: Path) -> Iterator[Service]:
    with Service.started(models, model="colours") as service:
        yield service


@pytest.fixture(scope="module")
def kinds(models: Path) -> Iterator[Service]:
    with Service.started(models, model="kinds", max_batch=4, max_queue_bytes=2**20) as service:
        yield service


def plain(colour: tuple[int, ...], size: tuple[int, int] = (60, 40)) -> Image.Image:
    return Image.new("RGB" if len(colour) == 3 else "RGBA", size, colour)


def predictions(service: Service, body: bytes, query: str = "") -> list[dict[str, Any]]:
    answer = fetch.post(f"{service.url}/v1/predict{query}", content=body)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["predictions"]
    return found


def as_json(document: object) -> bytes:
    return json.dumps(document).encode()


def pixels_in(url: str) -> Any:
    return np.asarray(Image.open(io.BytesIO(b64decode(url.partition(",")[2]))))


# ---- answers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(32, 32), (8, 5), (640, 480)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_an_image_of_any_size_and_format_is_answered_with_label_and_index(
    colours: Service, size: tuple[int, int], kind: str
) -> None:
    for index, name in enumerate(COLOURS):
        colour = tuple(230 if channel == index else 10 for channel in range(3))
        (found,) = predictions(colours, encoded(plain(colour, size), kind))
        assert [*found] == ["label", "index", "confidence", "probabilities"]
        assert (found["label"], found["index"]) == (name, index)
        assert found["confidence"] == max(found["probabilities"]) > 0.99


def test_several_images_of_one_request_are_answered_in_order(colours: Service) -> None:
    images = [encoded(plain(colour)) for colour in ((0, 0, 255), (255, 0, 0), (0, 255, 0))]
    files = [("image", (f"{at}.png", image)) for at, image in enumerate(images)]
    answer = fetch.post(f"{colours.url}/v1/predict", files=files).json()
    assert [each["label"] for each in answer["predictions"]] == ["blue", "red", "green"]


def test_a_large_label_set_is_answered_by_its_five_likeliest(kinds: Service) -> None:
    (found,) = predictions(kinds, encoded(SCENE, "JPEG"))
    assert [*found] == ["label", "index", "confidence", "top_k"]
    assert len(found["top_k"]) == 5
    assert found["top_k"][0] == {name: found[name] for name in ("label", "index", "confidence")}
    confidences = [each["confidence"] for each in found["top_k"]]
    assert confidences == sorted(confidences, reverse=True)
    (all_of_them,) = predictions(kinds, encoded(SCENE, "JPEG"), "?top_k=1000")
    assert [each["index"] for each in all_of_them["top_k"][:5]] == [
        each["index"] for each in found["top_k"]
    ]
    assert {each["label"] for each in all_of_them["top_k"]} == {*MANY}


def test_digits_keep_their_digit_which_comes_first(service: Service) -> None:
    (found,) = predictions(service, SEVEN, "?top_k=2")
    assert [*found] == ["digit", "label", "index", "confidence", "probabilities", "top_k"]
    assert (found["digit"], found["label"], found["index"]) == (7, "7", 7)
    assert [*found["top_k"][1]] == ["digit", "label", "index", "confidence"]


# ---- pixels ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK"])
def test_the_network_sees_what_the_preparation_makes_of_the_file(kinds: Service, mode: str) -> None:
    """The same function prepares the images of a training."""
    body = encoded(SCENE.convert(mode), "TIFF")
    (found,) = predictions(kinds, body, "?debug=pixels")
    expected = preparer_of(PHOTO, (224, 224, 3)).file(body, max_pixels=10**6)
    assert np.array_equal(pixels_in(found["pixels"]), expected)


def test_a_gray_model_of_any_size_sees_gray(models: Path) -> None:
    with Service.started(models, model="gray") as service:
        (found,) = predictions(service, encoded(plain((255, 0, 0), (40, 40))), "?debug=pixels")
        assert pixels_in(found["pixels"]).shape == (20, 40)


def test_a_photograph_of_twelve_megapixels_is_answered(kinds: Service) -> None:
    """It is reduced while it is decoded."""
    body = encoded(SCENE.resize((4000, 3000)), "JPEG")
    (found,) = predictions(kinds, body, "?debug=pixels")
    expected = preparer_of(PHOTO, (224, 224, 3)).file(body, max_pixels=12_000_000)
    assert np.array_equal(pixels_in(found["pixels"]), expected)


@pytest.mark.parametrize("query", ["?ink=on", "?ink=auto", "?debug=ink"])
def test_options_for_digits_are_refused(colours: Service, query: str) -> None:
    refused = fetch.post(f"{colours.url}/v1/predict{query}", content=SEVEN)
    detail = problem(refused, 400)["detail"]
    assert "version 1 of colours serves, whose preparation is 'stretch'" in detail


def test_pixels_of_digits_can_be_shown_by_either_name(service: Service) -> None:
    (pixels,) = predictions(service, SEVEN, "?debug=pixels")
    (ink,) = predictions(service, SEVEN, "?debug=ink")
    assert pixels["pixels"] == ink["ink"]


# ---- the Open Inference Protocol ---------------------------------------------------------------


def test_metadata_and_configuration_have_the_shape_of_the_card(kinds: Service) -> None:
    path = f"{kinds.url}/v2/models/kinds"
    metadata, config = fetch.get(path).json(), fetch.get(f"{path}/config").json()
    assert metadata["inputs"] == [
        {"name": "pixels", "datatype": "UINT8", "shape": [-1, 224, 224, 3]}
    ]
    assert metadata["outputs"][0]["shape"] == [-1, 150]
    assert config["input"][0]["dims"] == [224, 224, 3]
    assert config["output"][0]["dims"] == [150]


@pytest.mark.parametrize("form", ["json", "binary", "raw"])
def test_tensors_of_colour_are_answered(colours: Service, form: str) -> None:
    pixels = np.full((1, 32, 32, 3), (0, 0, 200), np.uint8)
    tensor: dict[str, Any] = {"name": "pixels", "datatype": "UINT8", "shape": [1, 32, 32, 3]}
    url, headers, body = f"{colours.url}/v2/models/colours/infer", {}, pixels.tobytes()
    if form == "json":
        body = as_json({"inputs": [tensor | {"data": pixels.tolist()}]})
    elif form == "binary":
        size = {"parameters": {"binary_data_size": pixels.size}}
        head = as_json({"inputs": [tensor | size], "outputs": [{"name": "logits"}]})
        headers, body = {HEADER: str(len(head))}, head + body
    else:
        headers = {HEADER: "0"}
    answer = fetch.post(url, content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    if form == "json" or form == "binary":
        assert answer.json()["outputs"][0]["data"] == [0, 0, 25]
    else:
        assert np.frombuffer(answer.content[-12:], "<f4").argmax() == 2


@pytest.mark.parametrize("shape", [[1, 28, 28], [1, 32, 32], [1, 32, 32, 1], [0, 32, 32, 3]])
def test_a_tensor_of_another_shape_is_refused(colours: Service, shape: list[int]) -> None:
    tensor = {"name": "pixels", "datatype": "UINT8", "shape": shape, "data": []}
    refused = fetch.post(
        f"{colours.url}/v2/models/colours/infer", content=as_json({"inputs": [tensor]})
    )
    assert refused.status_code == 400
    assert "has the shape [n, 32, 32, 3], n at least 1" in refused.json()["error"]


def test_any_number_of_the_best_classes_is_named(kinds: Service) -> None:
    head = as_json(
        {
            "inputs": [
                {
                    "name": "pixels",
                    "datatype": "UINT8",
                    "shape": [1, 224, 224, 3],
                    "parameters": {"binary_data_size": 224 * 224 * 3},
                }
            ],
            "outputs": [{"name": "probabilities", "parameters": {"classification": 30}}],
        }
    )
    body = head + bytes([7]) * (224 * 224 * 3)
    headers = {HEADER: str(len(head))}
    answer = fetch.post(f"{kinds.url}/v2/models/kinds/infer", content=body, headers=headers).json()
    texts = answer["outputs"][0]["data"]
    assert len(texts) == 30
    assert {text.split(":")[2] for text in texts} <= {*MANY}


def test_a_long_tensor_in_json_is_refused_in_favour_of_bytes(models: Path) -> None:
    with Service.started(models, model="kinds") as service:
        url = f"{service.url}/v2/models/kinds/infer"
        refused = fetch.post(url, content=b"[" + b"0," * 2**21 + b"0]")
        assert refused.status_code == 413
        assert "send large tensors in bytes" in refused.json()["error"]
        images = bytes(16 * 224 * 224 * 3)
        tensor = {
            "name": "pixels", "datatype": "UINT8", "shape": [16, 224, 224, 3],
            "parameters": {"binary_data_size": len(images)},
        }  # fmt: skip
        outputs = [{"name": "probabilities", "parameters": {"classification": 2}}]
        head = as_json({"inputs": [tensor], "outputs": outputs})
        answer = fetch.post(url, content=head + images, headers={HEADER: str(len(head))}).json()
    # Of a black image all are equally likely.
    texts = [text.partition(":")[2] for text in answer["outputs"][0]["data"]]
    assert texts == ["0:kind 0", "1:kind 1"] * 16


# ---- status, metrics and documents -------------------------------------------------------------


def test_an_imported_model_starts_and_says_what_is_unknown(colours: Service) -> None:
    model = fetch.get(f"{colours.url}/v1/status").json()["model"]
    assert (model["imported"], model["data_set"], model["test_accuracy"]) == (True, None, None)
    assert (model["labels"], model["preparation"]) == (3, SMALL.kind)
    assert model["input"] == {"height": 32, "width": 32, "channels": 3}
    listed = fetch.get(f"{colours.url}/v1/models/colours").json()
    assert listed["versions"][0]["accuracy"] is None
    assert listed["versions"][0]["data_set"] is None
    assert listed["versions"][0]["test_images"] is None
    assert listed["card"]["imported"]["file"] == "classifier.onnx"
    assert "imported, its accuracy is unknown" in colours.log
    assert "--data-binary @image.png" in colours.log


def test_labels_beyond_a_hundred_are_counted_together(kinds: Service) -> None:
    for level in range(0, 256, 15):
        for colour in ((level, 0, 0), (0, level, 0), (0, 0, level), (level, level, level)):
            predictions(kinds, encoded(plain(colour)))
    text = exposition(kinds)
    counted = set(re.findall(r'digitserve_predictions_total{label="(.*)"}', text))
    assert "other" in counted
    assert counted <= {*MANY[:100], "other"}


def test_the_queue_is_bounded_by_bytes(kinds: Service) -> None:
    """A MiB is 6 images of 224x224."""
    assert fetch.get(f"{kinds.url}/v1/status").json()["batching"]["max_queue"] == 6


def test_the_images_of_a_request_are_bounded_by_a_quarter_of_that_or_a_batch(
    kinds: Service,
) -> None:
    files = [("image", (f"{at}.png", encoded(plain((at, 0, 0))))) for at in range(5)]
    refused = fetch.post(f"{kinds.url}/v1/predict", files=files)
    assert "5 images in one request, 4 are allowed" in problem(refused, 413)["detail"]
    assert len(fetch.post(f"{kinds.url}/v1/predict", files=files[:4]).json()["predictions"]) == 4


def test_the_images_that_wait_count_in_the_memory_of_the_service(
    colours: Service, kinds: Service
) -> None:
    def budget(service: Service) -> int:
        total: int = fetch.get(f"{service.url}/v1/status").json()["memory"]["budget"]
        assert f"{total // 2**20:,} MiB" in service.log
        assert "DIGITSERVE_MAX_QUEUE_BYTES" in service.log
        return total

    few, many = 2**20 + 2 * 2**18, 1024 * 32 * 32 * 3 + 2 * 2**26
    assert budget(colours) - budget(kinds) == many - few


def test_the_document_of_the_api_describes_the_model_that_serves(colours: Service) -> None:
    paths = fetch.get(f"{colours.url}/openapi.json").json()["paths"]
    answer = paths["/v1/predict"]["post"]["responses"]["200"]["content"]["application/json"]
    (prediction,) = answer["example"]["predictions"]
    assert prediction["label"] in COLOURS
    assert "digit" not in prediction
    assert "[n, 32, 32, 3]" in paths["/v2/models/{model}/infer"]["post"]["description"]
    examples = paths["/v1/predict"]["post"]["requestBody"]["content"]["application/json"]
    sent = fetch.post(f"{colours.url}/v1/predict", json=examples["examples"]["one"]["value"])
    assert sent.status_code == 200


# ---- samples -----------------------------------------------------------------------------------


def test_a_sample_that_is_sent_back_has_the_pixels_that_were_tested(models: Path) -> None:
    with Service.started(models, model="sampled") as service:
        url = f"{service.url}/v1/samples/random"
        sample = fetch.get(url, params={"label": "green"}, headers={"Accept": "image/png"}).content
        (prediction,) = predictions(service, sample, "?debug=pixels")
    expected = np.full((32, 24, 3), (0, 255, 0))
    expected[0] = 255  # a row that would be cut off if the photo had no margin
    assert np.array_equal(pixels_in(prediction["pixels"]), expected)


def test_a_model_without_samples_has_none_to_show(colours: Service) -> None:
    assert problem(fetch.get(f"{colours.url}/v1/samples/random"), 404)["title"] == "No samples"
