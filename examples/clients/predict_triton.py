"""Classify pixels with Triton's client, by the Open Inference Protocol.

    pip install "tritonclient[http]" pillow
    python predict_triton.py http://127.0.0.1:8000 digits seven.png

The protocol carries tensors, the pixels that the network reads, so nothing is cut out or centred as
POST /v1/predict does: images must look like those that the model was trained on, for digits light
ink on a dark background. The service describes the tensor, and images are resized to it.
"""

import sys

import numpy as np
import tritonclient.http as triton
from PIL import Image


def main(url: str, model: str, *paths: str) -> None:
    with triton.InferenceServerClient(url.removeprefix("http://")) as client:
        (tensor,) = client.get_model_metadata(model)["inputs"]
        _, height, width, *colours = tensor["shape"]  # (n, h, w), or (n, h, w, 3) in colour
        images = [Image.open(path).convert("RGB" if colours else "L") for path in paths]
        pixels = np.stack([np.asarray(image.resize((width, height))) for image in images])

        inputs = triton.InferInput(tensor["name"], pixels.shape, tensor["datatype"])
        inputs.set_data_from_numpy(pixels)  # as bytes; binary_data=False sends JSON
        # The likeliest class of each image, as the text "probability:index:label".
        best = triton.InferRequestedOutput("probabilities", class_count=1)
        result = client.infer(model, [inputs], outputs=[best])

    for path, (text,) in zip(paths, result.as_numpy("probabilities"), strict=True):
        probability, _, label = text.decode().split(":", 2)
        print(f"{path}: {label} ({float(probability):.2%})")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit("usage: python predict_triton.py URL MODEL IMAGE...")
    main(*sys.argv[1:])
