"""Classify pixels with KServe's client, by the Open Inference Protocol.

    pip install kserve pillow
    python predict_kserve.py http://127.0.0.1:8000 digits seven.png

The same client works unchanged against a KServe InferenceService. As predict_triton.py explains, it
sends the pixels that the network reads.
"""

import asyncio
import sys

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from PIL import Image


async def main(url: str, model: str, *paths: str) -> None:
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    if not await client.is_model_ready(url, model_name=model):
        sys.exit(f"{url} does not serve the model {model}")
    # This client has no call for the description of a model, which names its input.
    async with httpx.AsyncClient(base_url=url) as http:
        response = await http.get(f"/v2/models/{model}")
    (tensor,) = response.raise_for_status().json()["inputs"]
    _, height, width, *colours = tensor["shape"]  # (n, h, w), or (n, h, w, 3) in colour
    images = [Image.open(path).convert("RGB" if colours else "L") for path in paths]
    pixels = np.stack([np.asarray(image.resize((width, height))) for image in images])

    inputs = InferInput(tensor["name"], list(pixels.shape), tensor["datatype"])
    inputs.set_data_from_numpy(pixels)  # as bytes; binary_data=False sends JSON
    result = await client.infer(url, InferRequest(model, [inputs]), model_name=model)

    outputs = {output.name: output for output in result.outputs}
    probabilities = outputs["probabilities"].as_numpy()  # (n, classes)
    for path, row in zip(paths, probabilities, strict=True):
        print(f"{path}: class {row.argmax()} ({row.max():.2%})")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit("usage: python predict_kserve.py URL MODEL IMAGE...")
    asyncio.run(main(*sys.argv[1:]))
