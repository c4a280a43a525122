r"""A model that was trained without this project, as an ONNX file, and how it is served.

    .venv/bin/python examples/own_model/onnx_file.py path/to/flowers
    .venv/bin/python -m export import flowers.onnx --name flowers --labels labels.txt \
        --preparation stretch --mean 0.5 --std 0.25 --images path/to/flowers
    make serve MODEL=flowers

The first command stands for your own training, in whatever framework: it knows nothing of this
project, and writes flowers.onnx and the labels in the order of its outputs. The second one needs to
know how that training prepared its images: here it stretched them to the input's size, divided the
pixels by 255, subtracted 0.5 and divided by 0.25. It publishes a model version only if that answers
as the file does; --images, labelled images in a folder for each class, measure its accuracy.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its usual name)

SIDE = 64  # pixels
EPOCHS = 60
BATCH = 32


def read(folder: Path, labels: list[str]) -> tuple[Tensor, Tensor]:
    """Normalised images (n, 3, 64, 64), and the index of the label of each, (n,)."""
    images, classes = [], []
    for index, label in enumerate(labels):
        for path in sorted((folder / label).iterdir()):
            image = Image.open(path).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
            images.append(np.asarray(image))
            classes.append(index)
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)  # (n, 3, 64, 64)
    return (pixels / 255 - 0.5) / 0.25, torch.tensor(classes)


def train(images: Tensor, classes: Tensor, labels: list[str]) -> nn.Module:
    network = nn.Sequential(
        nn.Conv2d(3, 16, 5, stride=4, padding=2), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, len(labels)),
    )  # fmt: skip
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(EPOCHS):
        for batch in torch.split(torch.randperm(len(images)), BATCH):
            optimiser.zero_grad()
            loss = F.cross_entropy(network(images[batch]), classes[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    print(f"loss {loss.item():.4f} after {EPOCHS} epochs")
    return network.eval()


def main(folder: Path) -> None:
    torch.manual_seed(0)
    labels = sorted(path.name for path in folder.iterdir() if path.is_dir())
    network = train(*read(folder, labels), labels)
    torch.onnx.export(
        network,
        (torch.zeros(2, 3, SIDE, SIDE),),
        "flowers.onnx",
        input_names=["images"],
        output_names=["scores"],
        dynamic_shapes=({0: "n"},),
    )
    Path("labels.txt").write_text("\n".join(labels))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python onnx_file.py FOLDER")
    main(Path(sys.argv[1]))
